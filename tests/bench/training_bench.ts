/**
 * One training step (forward, backward, clipping, AdamW) here and in eager PyTorch, same shapes,
 * interleaved in one run: read the ratios, since machines differ and are shared.
 * `deno task bench training -- --python PATH` names a Python that has torch; without one PyTorch is
 * skipped and said so. PyTorch's side is the oracle of tests/reference, attention with a mask.
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { disposeTree, initEngine } from "../../lib/engine/mod.ts";
import { backboneConfig, initModel, type ModelConfig } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import {
  ADAMW_DEFAULTS,
  batchTensors,
  compileTrainStep,
  initTrainState,
  stepScalars,
  type Trainable,
  type TrainState,
} from "../../lib/train/mod.ts";
import { median } from "./_measure.ts";

type Size = Readonly<
  { width: number; layers: number; context: number; batch: number; vocab: number }
>;

const SIZES: readonly Size[] = [
  { width: 64, layers: 3, context: 64, batch: 64, vocab: 512 },
  { width: 128, layers: 4, context: 128, batch: 32, vocab: 4096 },
];
const HEADS = 4;
const NUMBERS = 8;
const WARM_UP = 3;
const STEPS = 8;
const REPETITIONS = 3;

const { values: { python } } = parseArgs({ options: { python: { type: "string" } } });
const script = fileURLToPath(new URL("../reference/training_step.py", import.meta.url));

function configOf(family: "mixer" | "transformer", augmented: boolean, size: Size): ModelConfig {
  const shared = { vocabSize: size.vocab, layerCount: size.layers, headCount: HEADS };
  const backbone = (width: number, contextLength: number) =>
    backboneConfig(family, { ...shared, width, contextLength });
  if (!augmented) return { kind: "causal", backbone: backbone(size.width, size.context) };
  return {
    kind: "augmented",
    memory: "embedding",
    embeddingSize: NUMBERS,
    encoder: backbone(size.width / 2, size.context),
    decoder: backbone(size.width, size.context + 1),
  };
}

/** A function that makes some training steps and gives the milliseconds of each. */
function ourStep(config: ModelConfig, { batch, context, vocab }: Size): () => number[] {
  const step = compileTrainStep(config, { padId: null }, ADAMW_DEFAULTS, "xla");
  let state: TrainState<Trainable> = initTrainState(initModel(config, createRandom(1)));
  const random = createRandom(2);
  const ids = Int32Array.from(
    { length: batch * context },
    () => 2 + Math.floor(random.uniform() * (vocab - 2)),
  );
  const batchOfIds = batchTensors({ ids }, context);
  let updates = 0;
  return () =>
    Array.from({ length: WARM_UP + STEPS }, () => {
      const start = performance.now();
      const scalars = stepScalars(1e-3, updates++);
      const result = step(state, {}, scalars, batchOfIds);
      result.loss.dataSync();
      disposeTree([scalars, result.loss, result.gradientNorm]);
      disposeTree(state);
      state = result.state;
      return performance.now() - start;
    }).slice(WARM_UP);
}

function torchStep(config: ModelConfig, { batch }: Size): number[] {
  const args = [script, JSON.stringify(config), `${batch}`, `${WARM_UP + STEPS}`];
  const { stdout, success } = new Deno.Command(python!, { args, stderr: "inherit" }).outputSync();
  if (!success) throw new Error(`${python} could not run ${script}`);
  return (JSON.parse(new TextDecoder().decode(stdout)) as number[]).slice(WARM_UP);
}

await initEngine();
if (python === undefined) {
  console.log("PyTorch is skipped: name a Python that has torch, --python PATH");
}
console.log(
  "model                 d  layers  context  batch  vocab     ms  tokens/s  PyTorch ms  ratio",
);
for (const size of SIZES) {
  for (const family of ["mixer", "transformer"] as const) {
    for (const augmented of [false, true]) {
      const config = configOf(family, augmented, size);
      const run = ourStep(config, size);
      run(); // compiles
      const ours: number[] = [], theirs: number[] = [];
      for (let repetition = 0; repetition < REPETITIONS; repetition++) {
        ours.push(median(run()));
        if (python !== undefined) theirs.push(median(torchStep(config, size)));
      }
      const ms = median(ours);
      const rate = (1000 * size.batch * size.context / ms).toFixed(0);
      const ratios = theirs.map((other, repetition) => other / ours[repetition]!);
      const peer = theirs.length === 0
        ? "–".padStart(12)
        : `${median(theirs).toFixed(0).padStart(12)}  ${median(ratios).toFixed(2)} (${
          Math.min(...ratios).toFixed(2)
        } to ${Math.max(...ratios).toFixed(2)})`;
      const numbers = [size.width, size.layers, size.context, size.batch, size.vocab];
      const columns = [3, 8, 9, 7, 7].map((width, index) => `${numbers[index]}`.padStart(width));
      console.log(
        `${`${family} ${augmented ? "EEM" : "CLM"}`.padEnd(20)}${columns.join("")}${
          ms.toFixed(0).padStart(7)
        }${rate.padStart(10)}${peer}`,
      );
    }
  }
}
