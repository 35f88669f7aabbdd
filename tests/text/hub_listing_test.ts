import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { httpClient } from "../../lib/text/http.ts";
import { listHub } from "../../lib/text/hub_listing.ts";
import { COMMIT, QUICK, REPOSITORY, sha256, withHub } from "./_hub_server.ts";
import type { HubServerOptions } from "./_hub_server.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const paths = [
  "README.md",
  "all/train-00000.parquet",
  "sample/10BT/001.parquet",
  "sample/10BT/000.parquet",
  "sample/100BT/000.parquet",
  "data/test-0.parquet",
  "data/train-1.parquet",
  "data/train-0.parquet",
];
const files = Object.fromEntries(paths.map((path) => [path, bytesOf(path)]));
const card = {
  license: "odc-by",
  configs: [
    { config_name: "sample-10BT", data_files: [{ split: "train", path: "sample/10BT/*" }] },
    {
      config_name: "both",
      default: true,
      data_files: [
        { split: "train", path: ["data/train-*"] },
        { split: "test", path: "data/test-*" },
      ],
    },
    { config_name: "plain", data_files: "all/**" },
  ],
};

async function list(configuration: string | undefined, options: HubServerOptions = {}) {
  let found: Awaited<ReturnType<typeof listHub>> | undefined;
  await withHub(files, async ({ endpoint }) => {
    found = await listHub(httpClient({ endpoint, retry: QUICK }), endpoint, {
      kind: "hub",
      repository: REPOSITORY,
      revision: "main",
      textField: "text",
      ...(configuration !== undefined && { configuration }),
    });
  }, { card, ...options });
  return found!;
}

async function listedPaths(configuration?: string, options?: HubServerOptions) {
  return (await list(configuration, options)).shards.map(({ path }) => path);
}

Deno.test("listHub() gives commit, licence and shards with their checksums, in order", async () => {
  assert.deepEqual(await list("sample-10BT"), {
    commit: COMMIT,
    licence: "odc-by",
    shards: ["sample/10BT/000.parquet", "sample/10BT/001.parquet"].map((path) => {
      const hash = sha256(bytesOf(path));
      return { path, size: path.length, version: hash, sha256: hash };
    }),
  });
});

Deno.test("listHub() finds a configuration's files, those of training only", async () => {
  assert.deepEqual(await listedPaths(), ["data/train-0.parquet", "data/train-1.parquet"]);
  assert.deepEqual(await listedPaths("plain"), ["all/train-00000.parquet"]);
  assert.deepEqual(await listedPaths("sample/100BT"), ["sample/100BT/000.parquet"]);
  const all = paths.filter((path) => path.endsWith(".parquet")).toSorted();
  assert.deepEqual(await listedPaths(undefined, { card: {} }), all);
});

Deno.test("listHub() reads a listing of many pages", async () => {
  for (const pageSize of [1, 2, 3]) {
    assert.deepEqual(await listedPaths("data", { pageSize }), [
      "data/test-0.parquet",
      "data/train-0.parquet",
      "data/train-1.parquet",
    ]);
  }
});

Deno.test("listHub() refuses configurations that are not there or not named", async () => {
  await assert.rejects(
    list("no-such"),
    new UserError(
      `hf:${REPOSITORY}/no-such: expected Parquet files, found none: take another configuration, ` +
        `or what the Hub converted, hf:${REPOSITORY}/no-such@refs/convert/parquet`,
    ),
  );
  const configs = [card.configs[0], card.configs[2]];
  await assert.rejects(
    list(undefined, { card: { configs } }),
    new UserError(
      `hf:${REPOSITORY}: expected one of its configurations, found none named: take ` +
        `hf:${REPOSITORY}/sample-10BT, hf:${REPOSITORY}/plain`,
    ),
  );
});

for (
  const path of [
    "data/../../../etc/train.parquet",
    "/etc/train.parquet",
    "data//train.parquet",
    "data/./train.parquet",
    "data\\train.parquet",
    "C:/train.parquet",
    "data/train\n.parquet",
  ]
) {
  Deno.test(`listHub() refuses the path ${JSON.stringify(path)}`, async () => {
    const tree = [{ type: "file", path, oid: "1", size: 3 }];
    await assert.rejects(
      list(undefined, { tree, card: {} }),
      new UserError(
        `hf:${REPOSITORY}: expected paths within the dataset, found ${JSON.stringify(path)}`,
      ),
    );
  });
}

Deno.test("listHub() refuses entries without path, size or oid", async () => {
  for (
    const entry of [
      { type: "file", size: 3, oid: "1" },
      { type: "file", path: "a.parquet", oid: "1" },
      { type: "file", path: "a.parquet", size: 1.5, oid: "1" },
      { type: "file", path: "a.parquet", size: 3 },
    ]
  ) {
    await assert.rejects(
      list(undefined, { tree: [entry], card: {} }),
      /expected files with path, size and oid, found \{"type":"file"/,
    );
  }
});
