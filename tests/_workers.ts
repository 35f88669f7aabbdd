/** Workers on this machine, each a process of its own that runs a program of the tests. */

import { freeAddresses } from "../lib/cli/_local_workers.ts";
import { formatTfConfig } from "../lib/engine/mod.ts";
import { testPermissions } from "../lib/cli/test.ts";

export type Ended = Readonly<{ code: number; stdout: string; stderr: string }>;

/** The environment of one of several workers, of one thread if nothing else is asked for. */
export function workerEnvironment(
  addresses: readonly string[],
  index: number,
  threads = 1,
): Record<string, string> {
  return { TF_CONFIG: formatTfConfig({ addresses, index }), TF_NUM_INTRAOP_THREADS: `${threads}` };
}

/** Runs a program in `count` workers to their ends. */
export async function runWorkers(
  program: URL,
  count: number,
  args: readonly string[],
  { threads }: { readonly threads?: number } = {},
): Promise<Ended[]> {
  const addresses = freeAddresses(count);
  return await Promise.all(addresses.map(async (_, index) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", ...testPermissions, program.href, ...args],
      env: { NO_COLOR: "1", ...workerEnvironment(addresses, index, threads) },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: decode(stdout), stderr: decode(stderr) };
  }));
}
