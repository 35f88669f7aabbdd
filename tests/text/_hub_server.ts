/** A Hub on this machine: the API and files of one dataset, and misbehaviour on demand. */
import { createHash } from "node:crypto";

export const REPOSITORY = "owner/name";
export const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/** Answers in the place of the server; undefined lets it answer as it should. */
export type Misbehaviour = (
  request: Request,
  seen: Readonly<{
    /** How many requests there were for this path, this one included. */
    count: number;
    /** What would have been answered. */
    proper: () => Response;
  }>,
) => Response | Promise<Response> | undefined;

export interface HubServer {
  readonly endpoint: string;
  /** Of every request, in order: method, path and the headers that matter here. */
  readonly requests: {
    path: string;
    range: string | null;
    authorization: string | null;
  }[];
  misbehave: Misbehaviour | undefined;
}

export type HubFiles = Readonly<Record<string, Uint8Array>>;

export type HubServerOptions = Readonly<{
  card?: unknown;
  /** Entries of the listing in place of those of the files. */
  tree?: readonly unknown[];
  /** How many entries a page of the listing has. */
  pageSize?: number;
  /** Another server that the files are on. */
  redirectTo?: string;
}>;

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function answerRange(request: Request, bytes: Uint8Array): Response {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "") ?? [];
  if (from === undefined) return new Response(bytes.slice());
  const [start, end] = [Number(from), Math.min(Number(to) + 1, bytes.length)];
  return new Response(bytes.slice(start, end), {
    status: 206,
    headers: { "content-range": `bytes ${start}-${end - 1}/${bytes.length}` },
  });
}

/** Runs `use` while the files are served as a dataset of the Hub. */
export async function withHub(
  files: HubFiles,
  use: (server: HubServer) => Promise<void>,
  options: HubServerOptions = {},
): Promise<void> {
  const { card = { license: "odc-by" }, pageSize = 1000, redirectTo } = options;
  const counts = new Map<string, number>();
  const tree = options.tree ?? Object.entries(files).map(([path, bytes]) => ({
    type: "file",
    path,
    oid: sha256(bytes).slice(0, 40),
    size: bytes.length,
    lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 134 },
  }));
  const hub: { -readonly [Key in keyof HubServer]: HubServer[Key] } = {
    endpoint: "",
    requests: [],
    misbehave: undefined,
  };
  const api = `/api/datasets/${REPOSITORY}`;
  const answer = (request: Request): Response => {
    const url = new URL(request.url);
    const path = decodeURIComponent(url.pathname);
    if (path.startsWith(`${api}/revision/`)) {
      return Response.json({ id: REPOSITORY, sha: COMMIT, cardData: card });
    }
    if (path.startsWith(`${api}/tree/${COMMIT}`)) {
      const folder = path.slice(`${api}/tree/${COMMIT}/`.length);
      const within = tree.filter((entry) =>
        folder === "" || String((entry as { path: unknown }).path).startsWith(`${folder}/`)
      );
      const start = Number(url.searchParams.get("cursor") ?? 0);
      const isLast = start + pageSize >= within.length;
      const next = `<${hub.endpoint}${url.pathname}?recursive=true&cursor=${start + pageSize}>`;
      return Response.json(within.slice(start, start + pageSize), {
        headers: isLast ? {} : { link: `${next}; rel="next"` },
      });
    }
    const file = path.split(`/resolve/${COMMIT}/`)[1] ?? path.split("/stored/")[1];
    const bytes = file === undefined ? undefined : files[file];
    if (bytes === undefined) return new Response("not here", { status: 404 });
    if (redirectTo !== undefined && !path.startsWith("/stored/")) {
      return new Response(null, {
        status: 302,
        headers: { location: `${redirectTo}/stored/${file}?signature=1` },
      });
    }
    return answerRange(request, bytes);
  };
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    const count = (counts.get(pathname) ?? 0) + 1;
    counts.set(pathname, count);
    const { headers } = request;
    hub.requests.push({
      path: decodeURIComponent(pathname),
      range: headers.get("range"),
      authorization: headers.get("authorization"),
    });
    const proper = () => answer(request);
    return await hub.misbehave?.(request, { count, proper }) ?? proper();
  });
  hub.endpoint = `http://127.0.0.1:${server.addr.port}`;
  try {
    await use(hub);
  } finally {
    await server.shutdown();
  }
}

/** The response with only the first bytes of its body, after which the connection breaks. */
export async function brokenOff(response: Response, bytes: number): Promise<Response> {
  const body = new Uint8Array(await response.arrayBuffer());
  const stream = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(body.slice(0, bytes));
      await new Promise((resolve) => setTimeout(resolve, 10));
      controller.error(new Error("broken off on purpose"));
    },
  });
  return new Response(stream, response);
}

/** The response with other bytes, and the length that they have. */
export async function changed(
  response: Response,
  change: (body: Uint8Array) => Uint8Array,
): Promise<Response> {
  const body = change(new Uint8Array(await response.arrayBuffer()));
  return new Response(body.slice(), { status: response.status, headers: response.headers });
}

/** Quick retries, so that tests of giving up are. */
export const QUICK = { attempts: 4, pauseMs: 4, mostPauseMs: 10, timeoutMs: 2000 };
