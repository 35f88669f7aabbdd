/** Tokens a second of the codec, model included. There is nobody to compare with. */

import assert from "node:assert/strict";
import { compress, decompress } from "../../lib/codec/mod.ts";
import { disposeTree, initEngine } from "../../lib/engine/mod.ts";
import {
  SPEED_KINDS,
  type SpeedCase,
  speedModel,
  type SpeedSize,
  type TimingResult,
} from "../../lib/experiments/mod.ts";
import { millisecondsOf } from "../../lib/measure/mod.ts";
import { initModel } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { loadCorpus } from "../../lib/text/mod.ts";
import { trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { type Request, runProgram } from "./_program.ts";
import { timeTurns } from "./_timed.ts";

/** About the models that notebook 08 makes files with; their time does not depend on weights. */
const SIZE: SpeedSize = { width: 128, layers: 4, context: 128, batch: 1, vocab: 512 };
const BYTES = 40_000;
/** What a tokenizer is trained on. */
const TRAINING_TEXTS = 20;

async function measure({ threads, rounds }: Request): Promise<TimingResult[]> {
  await initEngine({ threads, log: () => {} });
  const corpus = await loadCorpus("sotu");
  const texts = corpus.train.slice(0, TRAINING_TEXTS).map(({ text }) => text);
  const tokenizer = trainTokenizer(texts, { vocabSize: SIZE.vocab });
  const original = new TextEncoder().encode(corpus.heldOut.map(({ text }) => text).join("\n"))
    .slice(0, BYTES);
  const results: TimingResult[] = [];
  for (const family of ["mixer", "transformer"] as const) {
    for (const kind of SPEED_KINDS) {
      const one: SpeedCase = { family, kind, size: SIZE };
      const config = speedModel(one);
      const params = initModel(config, createRandom(1));
      const model = { config, params, tokenizer, hash: "0".repeat(64) };
      const { file, report } = await compress(model, original); // compiles, too
      assert.deepEqual(await decompress(model, file), original);
      const turns = [
        { name: "encode", run: () => millisecondsOf(() => compress(model, original)) },
        { name: "decode", run: () => millisecondsOf(() => decompress(model, file)) },
      ];
      const about = { bench: "codec", case: `${family} ${kind}`, unit: "token", rounds };
      results.push(await timeTurns({ ...about, amount: report.tokens }, turns));
      disposeTree(params);
    }
  }
  return results;
}

await runProgram(measure);
