import assert from "node:assert/strict";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tinyCorpus } from "../experiments/_tiny.ts";
import { withFiles } from "../text/_temporary.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

Deno.test({
  name: "deno task train that gets Ctrl-C ends with 130 and says in one line how to go on",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withFiles(tinyCorpus(), async (folder) => {
      // The command keeps its runs beside its own lib: this one's is the temporary folder's.
      await symlink(join(root, "lib"), join(folder, "lib"));
      const train = join(folder, "lib", "cli", "train.ts");
      const permissions = ["read", "write", "env", "ffi", "sys", "run"].map((name) =>
        `--allow-${name}`
      );
      const sizes = { vocabulary: 270, context: 8, batch: 8, width: 8, layers: 1, steps: 100_000 };
      const options = Object.entries(sizes).flatMap(([name, size]) => [`--${name}`, `${size}`]);
      const process = new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "--no-check", ...permissions, `--config=${join(root, "deno.json")}`, train],
          ...["--corpus", join(folder, "corpus.jsonl"), "--backend", "wasm", ...options],
        ],
        stdin: "null",
        stdout: "null",
        stderr: "piped",
        env: { NO_COLOR: "1" },
      }).spawn();
      let said = "";
      let sent = false;
      for await (const chunk of process.stderr.pipeThrough(new TextDecoderStream())) {
        said += chunk;
        if (sent || !said.includes("step 10/")) continue;
        sent = true;
        process.kill("SIGINT");
      }
      const { code, signal } = await process.status;
      assert.equal(signal, null, "it ended by itself");
      assert.equal(code, 130, said);
      const last = said.trimEnd().split("\n").at(-1)!;
      const [, checkpoint] = last.match(
        /^stopped mixer clm, seed 1 after step \d+; run the same again to go on from (.*)$/,
      ) ?? assert.fail(said);
      assert.doesNotMatch(said, /error|\n\s+at /);
      assert.ok(checkpoint!.startsWith(join(folder, "runs")), last);
      assert.ok((await Deno.stat(checkpoint!)).size > 0);
    }),
});
