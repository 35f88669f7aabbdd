/** Compressed on some threads, a file comes back in a process that would take others by itself. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { readHeader } from "../../lib/codec/mod.ts";
import { initEngine } from "../../lib/engine/mod.ts";
import { findTensorFlowLibrary } from "../../lib/engine/_library.ts";
import { runAll } from "../../lib/experiments/mod.ts";
import { runTask } from "./_task.ts";
import { tinyCorpus, tinySpec } from "../experiments/_tiny.ts";
import { optionsIn } from "../experiments/_tiny_runs.ts";
import { withFiles } from "../text/_temporary.ts";

/** So wide, and so few lanes, that the terms of a sum are parted among threads. */
const WIDTH = 256;
const LANES = 4;
const BYTES = 9000;

/** As TensorFlow's variable says it; `0` is its default. */
const THREADS = ["1", "2", "0"];

const hasLibrary = findTensorFlowLibrary().path !== null;
const name = "a file comes back whatever the number of threads that its reader starts with";

Deno.test({
  name: hasLibrary ? name : `${name} [NOT RUN: no libtensorflow here]`,
  ignore: !hasLibrary,
  fn: () =>
    withFiles(tinyCorpus(), async (folder) => {
      await initEngine({ backend: "wasm", log: () => {} });
      const { data: { contextLength, vocabSize } } = tinySpec(folder, "clm");
      const [run] = await runAll([
        tinySpec(folder, "clm", {
          model: {
            kind: "causal",
            backbone: {
              architecture: "transformer",
              ...{ vocabSize, contextLength, width: WIDTH, layerCount: 2, headCount: 4 },
            },
          },
        }),
      ], optionsIn(folder));
      const model = ["--model", join(folder, "runs", run!.config.id)];
      const text = tinyCorpus()["corpus.jsonl"]!.slice(0, BYTES);
      const original = join(folder, "my.txt");
      await Deno.writeTextFile(original, text);

      const succeed = async (task: string, argv: readonly string[], threads: string) => {
        const env = { KYL_BACKEND: "tensorflow", TF_NUM_INTRAOP_THREADS: threads };
        const { code, stderr } = await runTask(task, [...argv, ...model, "--force"], { env });
        assert.equal(code, 0, `${task}, threads ${threads}: ${stderr}`);
      };
      for (const writer of THREADS) {
        const packed = join(folder, `${writer}.kylc`);
        const lanes = ["--lanes", `${LANES}`, "--no-verify"];
        await succeed("compress", [original, "-o", packed, ...lanes], writer);
        const { kind, backend, threads } = readHeader(await Deno.readFile(packed));
        const expected = writer === "0" ? navigator.hardwareConcurrency : Number(writer);
        assert.deepEqual([kind, backend, threads], ["causal", "tensorflow", expected]);
        for (const reader of THREADS.filter((reader) => reader !== writer)) {
          const back = join(folder, "back");
          await succeed("decompress", [packed, "-o", back], reader);
          assert.equal(await Deno.readTextFile(back), text, `${writer} threads, ${reader} threads`);
        }
      }
    }),
});
