/**
 * The one measuring loop: contestants that do the same work take turns in one run, so that whatever
 * else the machine does meets all of them.
 */

import { join } from "node:path";
import { disposeTree } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import { type Racer, skewedIds } from "../../lib/experiments/mod.ts";
import { median, ratiosToFirst } from "../../lib/measure/mod.ts";
import { initModel, type ModelConfig, sampleLength } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { formatSafetensors, storeTree } from "../../lib/train/mod.ts";
import {
  type Contestant,
  killContestants,
  type Running,
  startContestant,
  type Work,
} from "./_contestant.ts";

/** One more relative difference than this, and what was measured is not the same. */
export const LARGEST_LOSS_DIFFERENCE = 1e-2;

/** Batches on file; a longer race sees them again. */
const BATCHES = 8;
/** Small enough that no model of these sizes runs away, and losses stay comparable. */
const LEARNING_RATE = 3e-4;

export type Race = Readonly<{
  task: Work["task"];
  model: ModelConfig;
  batch: number;
  threads: number;
  rounds: number;
  /** Counted steps in a turn. */
  steps: number;
  /** Steps ahead of them that are not counted: caches are another contestant's. */
  warmUp: number;
  noiseWidth?: number | undefined;
  /** For weights and batches; whoever made it removes it. */
  folder: string;
}>;

/** What is kept of a contestant: every counted step of every round, and what follows from them. */
export type Measured = Omit<Racer, "shareOfPeak">;

export type Outcome = Readonly<{
  contestants: readonly Measured[];
  /** Between any contestant's loss of a step and the first one's, as a share of it. */
  largestLossDifference: number;
}>;

/**
 * @param onTurn Is told who is about to do what.
 * @throws UserError when a contestant fails, and when losses differ.
 */
export async function race(
  contestants: readonly Contestant[],
  plan: Race,
  onTurn: (what: string) => void,
): Promise<Outcome> {
  const running: Running[] = [];
  try {
    const work = await prepareWork(plan);
    for (const contestant of contestants) {
      onTurn(`${contestant.name}, first step`);
      running.push(await startContestant(contestant, work));
    }
    const rounds = running.map((): number[][] => []);
    const losses = running.map(({ first }) => [first.firstLoss]);
    largestDifference(running, losses);
    for (let round = 0; round < plan.rounds; round++) {
      for (const [index, one] of running.entries()) {
        onTurn(`${one.name}, round ${round + 1} of ${plan.rounds}`);
        const steps = await one.run(plan.warmUp + plan.steps);
        rounds[index]!.push(steps.ms.slice(plan.warmUp));
        losses[index]!.push(...steps.losses);
      }
      largestDifference(running, losses);
    }
    const peaks: (number | null)[] = [];
    for (const one of running) peaks.push(await one.end());
    const ratios = ratiosToFirst(rounds.map((turns) => turns.map(median)));
    return {
      contestants: running.map((one, index) => {
        const medianMs = median(rounds[index]!.flat());
        return {
          name: one.name,
          rounds: rounds[index]!,
          losses: losses[index]!,
          firstStepMs: one.first.firstStepMs,
          startMs: one.startMs,
          peakBytes: peaks[index]!,
          medianMs,
          tokensPerSecond: 1000 * plan.batch * sampleLength(plan.model) / medianMs,
          compileMs: one.first.firstStepMs - medianMs,
          ratio: ratios[index]!,
        };
      }),
      largestLossDifference: largestDifference(running, losses),
    };
  } finally {
    killContestants();
  }
}

/** Weights as this library starts them, and ids as skewed as those of text, without pads. */
export async function prepareWork(
  { task, model, batch, threads, folder, noiseWidth }:
    & Pick<Race, "task" | "model" | "batch" | "threads" | "folder">
    & Pick<Race, "noiseWidth">,
): Promise<Work> {
  const params = initModel(model, createRandom(1));
  const weights = join(folder, "weights.safetensors");
  const tensors = await storeTree(params);
  disposeTree(params);
  await Deno.writeFile(weights, formatSafetensors({ tensors, metadata: {} }));
  const ids = skewedIds(model, batch, BATCHES);
  const batches = join(folder, "batches.i32");
  await Deno.writeFile(batches, new Uint8Array(ids.buffer));
  return { task, model, batch, weights, batches, learningRate: LEARNING_RATE, threads, noiseWidth };
}

/**
 * The largest relative difference from the first contestant's losses, step by step.
 *
 * @throws UserError when it is so large that something else was computed.
 */
export function largestDifference(
  contestants: readonly Readonly<{ name: string }>[],
  losses: readonly (readonly number[])[],
): number {
  let largest = 0;
  contestants.forEach(({ name }, index) => {
    losses[index]!.forEach((loss, step) => {
      const expected = losses[0]![step]!;
      const difference = Math.abs(loss - expected) / Math.abs(expected);
      if (!(difference <= LARGEST_LOSS_DIFFERENCE)) {
        throw new UserError(
          `${name} had loss ${loss.toFixed(4)} at step ${step + 1}, ${contestants[0]!.name} ${
            expected.toFixed(4)
          }: expected at most ${
            100 * LARGEST_LOSS_DIFFERENCE
          } % between them; these are not the same model, so times say nothing`,
        );
      }
      largest = Math.max(largest, difference);
    });
  });
  return largest;
}
