/**
 * The numbers per token that a run is trained on (paper §4.6) or compared with (§5.1): a teacher's
 * estimates, kept in the entropy store, or a source's truth.
 */

import { disposeTree } from "../engine/mod.ts";
import {
  type EstimatedModel,
  estimateWindows,
  minMaxNormalize,
  storedEntropies,
  type WindowEstimates,
} from "../entropy/mod.ts";
import { UserError } from "../errors.ts";
import { needsValues } from "../models/mod.ts";
import { createRandom } from "../random.ts";
import type { Windows } from "../text/mod.ts";
import type { TrainingData } from "../train/mod.ts";
import { halfRows, pickWindows, type PreparedData } from "./data.ts";
import type { ExactValueName, RunSpec, Teacher, ValueTransform } from "./run_spec.ts";
import { everyNth, inMemory } from "./window_subsets.ts";

export type RatedData = Readonly<{
  data: TrainingData<Windows>;
  /** Mean number of the training tokens that have one. */
  meanValue: number;
}>;

export type RatingOptions = Readonly<{
  cacheFolder: string;
  /** Names a teacher's trained model in the entropy store. */
  keyOf: (run: RunSpec) => Promise<string>;
  /** The model itself, which is freed once it has rated. */
  load: (run: RunSpec) => Promise<EstimatedModel>;
}>;

/**
 * The data with a teacher's numbers as the windows' values, 0 where there is none: pads and first
 * tokens, which do not count. Another run rates as many training windows as are read, at even
 * distances: to rate the others would be for nothing. Held-out windows get values where the model
 * learns them.
 *
 * @throws UserError when a teacher leaves out a token that counts.
 */
export async function withTeacher(
  { training }: Pick<RunSpec, "training">,
  teacher: Teacher,
  prepared: PreparedData,
  options: RatingOptions,
): Promise<RatedData> {
  const { training: data, exact, corpusKey } = prepared;
  const { batchSize, schedule: { steps }, seed } = training;
  const rate = async (windows: Windows): Promise<WindowEstimates> => {
    if ("exact" in teacher) {
      const key = { model: corpusKey, estimator: teacher.exact };
      return await storedEntropies(
        options.cacheFolder,
        key,
        windows,
        () => Promise.resolve(exactEstimates(teacher.exact, windows, exact!)),
      );
    }
    const by = (run: RunSpec, some: Windows) =>
      ratedBy(run, teacher.estimator, some, batchSize, options);
    if ("run" in teacher) return await by(teacher.run, windows);
    const { even, odd } = teacher.halves;
    const [evenRows, oddRows] = [halfRows(windows, "even"), halfRows(windows, "odd")];
    const ofEven = await by(odd, pickWindows(windows, evenRows));
    const ofOdd = await by(even, pickWindows(windows, oddRows));
    return Array.from(
      { length: windows.count },
      (_, row) => (row % 2 === 0 ? ofEven : ofOdd)[row >> 1]!,
    );
  };
  // Of halves a window's number says which of them has seen it, and exact values cost nothing.
  const train = inMemory("run" in teacher ? everyNth(data.train, steps * batchSize) : data.train);
  const estimates = await rate(train);
  checkComplete(estimates, train);
  const transformed = (teacher.transforms ?? []).reduce(
    (values, name) => transform(values, name, seed),
    estimates,
  );
  if (training.objective?.form === "weight") checkShares(transformed);
  const heldOut = needsValues(training.model)
    ? withValues(data.heldOut, await rate(data.heldOut))
    : data.heldOut;
  return {
    data: { ...data, train: withValues(train, transformed), heldOut },
    meanValue: meanOf(transformed),
  };
}

async function ratedBy(
  run: RunSpec,
  estimator: Extract<Teacher, { estimator: unknown }>["estimator"],
  windows: Windows,
  batchSize: number,
  { cacheFolder, keyOf, load }: RatingOptions,
): Promise<WindowEstimates> {
  const key = { model: await keyOf(run), estimator };
  return await storedEntropies(cacheFolder, key, windows, async () => {
    const model = await load(run);
    try {
      return await estimateWindows(estimator, model, windows, { batchSize });
    } finally {
      disposeTree(model.params);
    }
  });
}

function exactEstimates(
  name: ExactValueName,
  windows: Windows,
  exact: NonNullable<PreparedData["exact"]>,
): WindowEstimates {
  const { contextLength, ids, realTokens } = windows;
  return Array.from({ length: windows.count }, (_, row) => {
    const end = (row + 1) * contextLength;
    const pads = contextLength - realTokens[row]!;
    const { entropyNats, surprisalNats, corrupted } = exact(
      ids.subarray(end - realTokens[row]!, end),
    );
    const valueAt = (t: number): number => {
      if (name === "entropy") return entropyNats[t]!;
      if (name === "surprisal") return surprisalNats[t]!;
      // The first half, which is copied, is drawn uniformly, as a corrupted token is.
      const isUniform = corrupted![t] === 1 || t < Math.ceil(contextLength / 2);
      return isUniform ? entropyNats[0]! : 0;
    };
    return Array.from({ length: contextLength }, (_, t) => t <= pads ? null : valueAt(t - pads));
  });
}

/** Every token that follows another must have a number: a loss form compares with all of them. */
function checkComplete(estimates: WindowEstimates, { realTokens, contextLength }: Windows): void {
  estimates.forEach((row, window) => {
    const first = contextLength - realTokens[window]!;
    const missing = row.findIndex((value, t) => t > first && value === null);
    if (missing === -1) return;
    throw new UserError(
      "teacher: expected an estimate of every token that follows another, found none of token " +
        `${missing} of training window ${window}; use an estimator that rates every token`,
    );
  });
}

/** Outside of 0 … 1 a weight 1 − e would turn the loss around, or raise it. */
function checkShares(estimates: WindowEstimates): void {
  for (const value of estimates.flat()) {
    if (value === null || (value >= 0 && value <= 1)) continue;
    throw new UserError(
      `objective weight: expected estimates from 0 to 1, found ${value}; ` +
        'add "min-max" to the teacher\'s transforms',
    );
  }
}

function transform(
  estimates: WindowEstimates,
  name: ValueTransform,
  seed: number,
): WindowEstimates {
  switch (name) {
    case "min-max":
      return minMaxNormalize(estimates);
    case "mean": {
      const mean = meanOf(estimates);
      return estimates.map((row) => row.map((value) => value === null ? null : mean));
    }
    case "shuffled": {
      const random = createRandom(seed).stream("shuffled estimates");
      return estimates.map((row) => {
        const values = row.filter((value) => value !== null);
        const order = random.permutation(values.length);
        let next = 0;
        return row.map((value) => value === null ? null : values[order[next++]!]!);
      });
    }
  }
}

function meanOf(estimates: WindowEstimates): number {
  let sum = 0, count = 0;
  for (const row of estimates) {
    for (const value of row) {
      if (value === null) continue;
      sum += value;
      count++;
    }
  }
  return sum / count;
}

function withValues(windows: Windows, estimates: WindowEstimates): Windows {
  const values = new Float32Array(windows.ids.length);
  estimates.forEach((row, window) =>
    row.forEach((value, t) => values[window * windows.contextLength + t] = value ?? 0)
  );
  return { ...windows, values };
}
