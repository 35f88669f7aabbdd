import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The task with a cache of its own folder, as a user starts it. */
export async function dataTask(
  folder: string,
  argv: readonly string[],
  env: Record<string, string> = {},
) {
  const task = join(folder, "lib", "cli", "data.ts");
  await symlink(join(root, "lib"), join(folder, "lib")).catch(() => {});
  await symlink(join(root, "data"), join(folder, "data")).catch(() => {});
  const permissions = ["read", "env", "sys", "net"].map((name) => `--allow-${name}`);
  const write = `--allow-write=${join(folder, ".cache")}`;
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-check", ...permissions, write, `--config=${join(root, "deno.json")}`, task],
      ...argv,
    ],
    cwd: folder,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1", HF_TOKEN: "", HF_ENDPOINT: "", ...env },
  });
}
