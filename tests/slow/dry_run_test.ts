/** What `reproduce --dry-run` says, with training steps that it measures. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

Deno.test("reproduce --dry-run says what is downloaded, stored and trained, and for how long", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-check", "--allow-read", "--allow-env", "--allow-sys", "--allow-run"],
      ...["--allow-net=127.0.0.1", "--allow-write=.venv,.cache,node_modules,out"],
      ...["lib/cli/reproduce.ts", "--preset", "paper", "--notebook", "01,02", "--dry-run"],
    ],
    cwd: root,
    stdin: "null",
    env: { NO_COLOR: "1", HF_ENDPOINT: "http://127.0.0.1:9", KYL_BACKEND: "" },
  }).output();
  const [output, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.equal(code, 0, errors!);
  const said = output!.trim().split("\n");
  const lines = said.slice(said.findIndex((line) => line.startsWith("text: ")));
  assert.match(lines[0]!, /^text: fineweb-edu, 9,672,101 documents, licence odc-by/);
  assert.match(lines[1]!, /^download: 28\.5 GB of 28\.5 GB to /);
  assert.match(lines[2]!, /^store: about 24\.2 GB of token ids to /);
  assert.equal(lines[3], "measuring some training steps …");
  for (const [line, architecture] of [[lines[4], "mixer"], [lines[5], "transformer"]] as const) {
    assert.match(line!, new RegExp(`^measured: [\\d,]+ tokens/s of the ${architecture} `));
  }
  assert.match(
    lines[6]!,
    /^01_baseline_vs_augmented: 33 runs, 432\.5 billion tokens, about [\d.]+ (days|years) of /,
  );
  assert.match(lines[7]!, /^02_autoencoders: \d+ runs, [\d.]+ billion tokens, about [\d.]+ /);
});
