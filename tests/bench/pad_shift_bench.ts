/**
 * Seconds a window for pad-shift entropies: the reference's procedure of 2N padded evaluations in
 * this library, and the library's plain and fast forms, interleaved in one run, beside the ratios of
 * counted multiply–adds. Read the ratios, since machines differ and are shared.
 * A Python that has torch runs the reference's procedure too (`deno task bench pad_shift`).
 */

import { UserError } from "../../lib/errors.ts";
import { initEngine } from "../../lib/engine/mod.ts";
import { type EstimatedModel, padShiftCost, padShiftEntropies } from "../../lib/entropy/mod.ts";
import { type AugmentedDecoderConfig, initModel, type Model } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import type { TimingResult } from "../../lib/experiments/mod.ts";
import { millisecondsOf, type Turn } from "../../lib/measure/mod.ts";
import type { WindowIds } from "../../lib/text/mod.ts";
import { compileEvaluator, windowLosses } from "../../lib/train/mod.ts";
import { script } from "./_contestant.ts";
import { factsOf, type Request, runProgram } from "./_program.ts";
import { timeTurns } from "./_timed.ts";

const LENGTH = 256;
const PAD = 1;
const VOCABULARY = 512;
/** As many as prefixes of about one length that a window has: the fast form's batches are full. */
const BATCH = 32;
const WINDOWS = 2;

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

function torchSeconds(python: string, threads: number): number {
  const path = script("pad_shift_seconds.py");
  const args = [path, JSON.stringify(config), `${WINDOWS}`, `${BATCH}`];
  const { stdout, success } = new Deno.Command(python, {
    args,
    env: { OMP_NUM_THREADS: `${threads}` },
    stderr: "inherit",
  }).outputSync();
  if (!success) throw new UserError(`${python} could not run ${path}; what it said is above`);
  return JSON.parse(new TextDecoder().decode(stdout)) as number;
}

type Procedure = Turn & Readonly<{ multiplyAdds: number }>;

function procedures(python: string | null, threads: number): readonly Procedure[] {
  const params: Model = initModel(config, createRandom(1));
  const model: EstimatedModel = { config, params, padId: PAD };
  const windows = randomWindows();
  const cost = padShiftCost(config);
  const ours = (name: string, multiplyAdds: number, run: () => Promise<unknown>): Procedure => ({
    name,
    multiplyAdds,
    run: () => millisecondsOf(run),
  });
  const form = (form: "plain" | "fast") => () =>
    padShiftEntropies(model, windows, { form, batchSize: BATCH });
  return [
    ours("fast", cost.fast!, form("fast")),
    ours("plain", cost.plain, form("plain")),
    ours("reference", cost.reference, () => reference(model, windows)),
    ...(python === null ? [] : [{
      name: "reference, PyTorch",
      multiplyAdds: cost.reference,
      run: () => Promise.resolve(1000 * torchSeconds(python, threads)),
    }]),
  ];
}

async function measure(request: Request): Promise<TimingResult[]> {
  const { threads, rounds, python } = request;
  const hasTorch = "torch" in factsOf(request).machine.peers;
  await initEngine({ threads, log: () => {} });
  const all = procedures(hasTorch ? python : null, threads);
  const { encoder, decoder } = config;
  console.log(
    `transformer EEM, N = ${LENGTH}, ${encoder.width} → ${decoder.width} wide, ` +
      `${decoder.layerCount} layers, V = ${VOCABULARY}; ${WINDOWS} windows, batches of ${BATCH}`,
  );
  await all[0]!.run(); // the engine's first calls are slower
  const about = { bench: "pad-shift", case: `transformer EEM, N = ${LENGTH}`, rounds };
  const result = await timeTurns({ ...about, amount: WINDOWS, unit: "window" }, all);
  const contestants = result.contestants.map((one, index) => {
    const counted = all[index]!.multiplyAdds / all[0]!.multiplyAdds;
    console.log(`${one.name}: ${counted.toFixed(2)} times the first's multiply–adds`);
    return { ...one, counted };
  });
  return [{ ...result, contestants }];
}

await runProgram(measure);
