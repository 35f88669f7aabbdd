/**
 * Seconds a window for pad-shift entropies: the reference's procedure of 2N padded evaluations in
 * this library, and the library's plain and fast forms, interleaved in one run, beside the ratios of
 * counted multiply–adds. Read the ratios, since machines differ and are shared.
 * `deno task bench pad_shift -- --python PATH` names a Python that has torch, which then runs the
 * reference's procedure too; without one PyTorch is skipped and said so.
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { initEngine } from "../../lib/engine/mod.ts";
import { type EstimatedModel, padShiftCost, padShiftEntropies } from "../../lib/entropy/mod.ts";
import { type AugmentedDecoderConfig, initModel, type Model } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import type { WindowIds } from "../../lib/text/mod.ts";
import { compileEvaluator, windowLosses } from "../../lib/train/mod.ts";
import { median } from "./_measure.ts";

const LENGTH = 256;
const PAD = 1;
const VOCABULARY = 512;
/** As many as prefixes of about one length that a window has: the fast form's batches are full. */
const BATCH = 32;
const WINDOWS = 2;
const REPETITIONS = 3;

const stack = (width: number, contextLength: number) =>
  ({
    architecture: "transformer",
    vocabSize: VOCABULARY,
    contextLength,
    width,
    layerCount: 2,
    headCount: 4,
  }) as const;

const config: AugmentedDecoderConfig & { memory: "embedding" } = {
  kind: "augmented",
  memory: "embedding",
  embeddingSize: 8,
  encoder: stack(64, LENGTH),
  decoder: stack(64, LENGTH + 1),
};

const { values: { python } } = parseArgs({ options: { python: { type: "string" } } });
const script = fileURLToPath(new URL("../reference/pad_shift_seconds.py", import.meta.url));

function randomWindows(): WindowIds {
  const random = createRandom(2);
  const ids = Int32Array.from(
    { length: WINDOWS * LENGTH },
    () => PAD + 1 + Math.floor(random.uniform() * (VOCABULARY - PAD - 1)),
  );
  return { contextLength: LENGTH, count: WINDOWS, ids };
}

/** Windows shifted right by 0 and 1, 1 and 2, … N − 1 and N: both terms of every difference. */
function shiftedWindows({ ids }: WindowIds): WindowIds {
  const count = 2 * LENGTH * WINDOWS;
  const rows = new Int32Array(count * LENGTH).fill(PAD);
  for (let row = 0; row < count; row++) {
    const shift = Math.ceil(Math.floor(row / WINDOWS) / 2);
    const window = row % WINDOWS * LENGTH;
    rows.set(ids.subarray(window, window + LENGTH - shift), row * LENGTH + shift);
  }
  return { contextLength: LENGTH, count, ids: rows };
}

/** The sums that the procedure's differences are of. */
async function reference(
  { params, padId }: EstimatedModel,
  windows: WindowIds,
): Promise<number[]> {
  const evaluator = compileEvaluator(config, { padId }, "graph");
  const sums: number[] = [];
  for await (const losses of windowLosses(evaluator, params, shiftedWindows(windows), BATCH)) {
    sums.push(losses.reduce<number>((sum, loss) => sum + (loss ?? 0), 0));
  }
  evaluator.dispose();
  return sums;
}

async function secondsOf(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}

function torchSeconds(): number {
  const args = [script, JSON.stringify(config), `${WINDOWS}`, `${BATCH}`];
  const { stdout, success } = new Deno.Command(python!, { args, stderr: "inherit" }).outputSync();
  if (!success) throw new Error(`${python} could not run ${script}`);
  return JSON.parse(new TextDecoder().decode(stdout)) as number;
}

await initEngine();
if (python === undefined) {
  console.log("PyTorch is skipped: name a Python that has torch, --python PATH");
}
const params: Model = initModel(config, createRandom(1));
const model: EstimatedModel = { config, params, padId: PAD };
const windows = randomWindows();
const cost = padShiftCost(config);
const run = (form: "plain" | "fast") => () =>
  padShiftEntropies(model, windows, { form, batchSize: BATCH });

type Procedure = Readonly<{ name: string; multiplyAdds: number; seconds: () => Promise<number> }>;
const procedures: readonly Procedure[] = [
  {
    name: "reference",
    multiplyAdds: cost.reference,
    seconds: () => secondsOf(() => reference(model, windows)),
  },
  { name: "plain", multiplyAdds: cost.plain, seconds: () => secondsOf(run("plain")) },
  { name: "fast", multiplyAdds: cost.fast!, seconds: () => secondsOf(run("fast")) },
  ...(python === undefined ? [] : [{
    name: "reference, PyTorch",
    multiplyAdds: cost.reference,
    seconds: () => Promise.resolve(torchSeconds()),
  }]),
];

const { encoder, decoder } = config;
console.log(
  `transformer EEM, N = ${LENGTH}, ${encoder.width} → ${decoder.width} wide, ` +
    `${decoder.layerCount} layers, V = ${VOCABULARY}; ${WINDOWS} windows, batches of ${BATCH}`,
);
await procedures[2]!.seconds(); // the engine's first calls are slower
const seconds = procedures.map((): number[] => []);
for (let repetition = 0; repetition < REPETITIONS; repetition++) {
  for (const [index, procedure] of procedures.entries()) {
    seconds[index]!.push(await procedure.seconds() / WINDOWS);
  }
}
console.log("procedure             s/window   times the fast form's (range)   counted");
procedures.forEach(({ name, multiplyAdds }, index) => {
  const ratios = seconds[index]!.map((one, repetition) => one / seconds[2]![repetition]!);
  const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  const ratio = `${median(ratios).toFixed(2)} (${range})`;
  console.log(
    `${name.padEnd(20)}${median(seconds[index]!).toFixed(3).padStart(10)}${ratio.padStart(32)}${
      (multiplyAdds / cost.fast!).toFixed(2).padStart(10)
    }`,
  );
});
