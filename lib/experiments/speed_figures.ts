/** Records of benchmarks as rows of figures and tables, and what they say of the goals. */

import type { BarRow, CurveRow } from "../figures/mod.ts";
import { type Phase, PHASES, type Spread, spreadOf } from "../measure/mod.ts";
import {
  type BenchDocument,
  type BenchFacts,
  type BenchResult,
  isRace,
  type RaceResult,
} from "./bench_document.ts";
import { SCALED_SIZES, type ScaledSize, type SpeedFamily, variesOnly } from "./speed_cases.ts";

type Results = Pick<BenchDocument, "results">;

function racesOf({ results }: Results, bench: string): RaceResult[] {
  return results.filter(isRace).filter((result) => result.bench === bench);
}

/** What others take, in times of what this library takes; ranges over rounds. */
export function speedRatioBars({ results }: Results, bench: string): BarRow[] {
  return results.filter((result) => result.bench === bench).flatMap((result) =>
    result.contestants.slice(1).map(({ name, ratio: { median, min, max } }) => ({
      group: result.case,
      arm: name,
      value: median,
      interval: [min, max] as const,
    }))
  );
}

/** Tokens a second over each size that was varied, in a panel of its own. */
export function scalingCurves(document: Results): CurveRow[] {
  return (Object.keys(SCALED_SIZES) as ScaledSize[]).flatMap((name) =>
    alongSize(document, name).flatMap(({ family, sizes, contestants }) =>
      contestants.map((one) => ({
        arm: `${family}, ${one.name}`,
        seed: 1,
        facet: name,
        x: sizes[name],
        y: one.tokensPerSecond,
      }))
    )
  );
}

/** GFLOP/s that training reaches in its matrix products, over the width. */
export function achievedCurves(document: Results): CurveRow[] {
  return alongSize(document, "width").flatMap(({ family, sizes, contestants, flopsPerStep }) =>
    contestants.map(({ name, medianMs }) => ({
      arm: `${family}, ${name}`,
      seed: 1,
      x: sizes.width,
      y: flopsPerStep / medianMs / 1e6,
    }))
  );
}

/** The line that {@linkcode achievedCurves} stay under. */
export function peakReference({ matmulPeak: { gflops, by } }: Pick<BenchFacts, "matmulPeak">) {
  return { y: gflops, label: `best matrix product, ${gflops.toFixed(0)} GFLOP/s (${by})` };
}

function alongSize(document: Results, name: ScaledSize): RaceResult[] {
  return racesOf(document, "scaling").filter(({ sizes }) => variesOnly(name, sizes))
    .sort((a, b) => a.sizes[name] - b.sizes[name]);
}

/** A step's milliseconds in parts; a part that costs nothing beside the others is 0. */
export function phaseBars({ results }: Results): BarRow[] {
  return results.filter(({ bench }) => bench === "phases").flatMap((result) => {
    const ms = phaseMedians(result);
    const parts = {
      forward: ms.forward,
      backward: ms["forward and backward"] - ms.forward,
      "AdamW update": ms["whole step"] - ms["forward and backward"],
      "batch to the engine": ms["batch to the engine"],
      "loss to the host": ms["loss to the host"],
    };
    return Object.entries(parts).map(([arm, value]) => ({
      group: result.case,
      arm,
      value: Math.max(0, value),
    }));
  });
}

function phaseMedians({ contestants }: BenchResult): Record<Phase, number> {
  return Object.fromEntries(
    PHASES.map((phase) => [phase, contestants.find(({ name }) => name === phase)!.medianMs]),
  ) as Record<Phase, number>;
}

/** Upload and reading the loss, as a share of the step, in percent, by case. */
export function hostShares({ results }: Results): { case: string; "host, % of a step": number }[] {
  return results.filter(({ bench }) => bench === "phases").map((result) => {
    const ms = phaseMedians(result);
    const host = ms["batch to the engine"] + ms["loss to the host"];
    return { case: result.case, "host, % of a step": 100 * host / (host + ms["whole step"]) };
  });
}

type Goal = Readonly<{ families: readonly SpeedFamily[]; peer: string; atLeast: number }>;

/** What training is to reach on a 2-core CPU, in times of the peer's speed. */
export const SPEED_GOALS: readonly Goal[] = [
  { families: ["mixer"], peer: "PyTorch eager", atLeast: 2 },
  { families: ["mixer"], peer: "torch.compile", atLeast: 1.3 },
  { families: ["mixer"], peer: "JAX jit", atLeast: 1.3 },
  { families: ["transformer"], peer: "PyTorch eager", atLeast: 1.5 },
  { families: ["transformer"], peer: "torch.compile", atLeast: 1.3 },
  { families: ["transformer"], peer: "JAX jit", atLeast: 1.3 },
];

/** The share of the best matrix product that is to be reached from this width on. */
const [PEAK_SHARE, PEAK_WIDTH] = [0.8, 256];

export type GoalRow = Readonly<
  { goal: string; asked: string; found: string; "of cases": number; held: string }
>;

/** Each goal beside the median over all cases of training that a record has. */
export function goalTable(document: Results): GoalRow[] {
  const races = racesOf(document, "training");
  const row = (goal: string, asked: string, values: number[], found: string, held: boolean) => ({
    goal,
    asked,
    found: values.length === 0 ? "not measured" : found,
    "of cases": values.length,
    held: values.length === 0 ? "–" : held ? "yes" : "no",
  });
  const ratios = SPEED_GOALS.map(({ families, peer, atLeast }) => {
    const values = races.filter(({ family }) => families.includes(family)).flatMap((one) =>
      one.contestants.filter(({ name }) => name === peer).map(({ ratio }) => ratio.median)
    );
    const all = spreadOrNone(values);
    const text = `${all.median.toFixed(2)} (${all.min.toFixed(2)}–${all.max.toFixed(2)})`;
    return row(
      `${families.join(", ")}: speed over ${peer}`,
      `≥ ${atLeast.toFixed(1)}`,
      values,
      text,
      all.median >= atLeast,
    );
  });
  const shares = races.filter(({ sizes }) => sizes.width >= PEAK_WIDTH)
    .map(({ contestants }) => contestants[0]!.shareOfPeak);
  const share = spreadOrNone(shares).median;
  return [
    ...ratios,
    row(
      `share of the best matrix product from width ${PEAK_WIDTH}`,
      `≥ ${100 * PEAK_SHARE} %`,
      shares,
      `${(100 * share).toFixed(0)} %`,
      share >= PEAK_SHARE,
    ),
  ];
}

function spreadOrNone(values: readonly number[]): Spread {
  return values.length === 0 ? { median: NaN, min: NaN, max: NaN } : spreadOf(values);
}

/** How many goals were measured and how many of them held, in a sentence. */
export function goalSentence(document: Results): string {
  const rows = goalTable(document);
  const measured = rows.filter(({ held }) => held !== "–");
  const missed = measured.filter(({ held }) => held === "no");
  const names = missed.map(({ goal, asked, found }) => `${goal} (asked ${asked}, found ${found})`);
  return `${measured.length} of ${rows.length} goals were measured, ${
    measured.length - missed.length
  } held${names.length === 0 ? "" : `; missed: ${names.join("; ")}`}`;
}

/** Every race, one row a contestant. */
export function raceTable({ results }: Results): Record<string, string | number | null>[] {
  return results.filter(isRace).flatMap((result) =>
    result.contestants.map((one) => ({
      bench: result.bench,
      case: result.case,
      by: one.name,
      "ms/step": one.medianMs,
      "tokens/s": Math.round(one.tokensPerSecond),
      "times ours": one.ratio.median,
      "% of peak": 100 * one.shareOfPeak,
      "compile, s": one.compileMs / 1000,
      "memory, MB": one.peakBytes === null ? null : Math.round(one.peakBytes / 1e6),
    }))
  );
}

/** Everything that is no race, one row a contestant. */
export function timingTable({ results }: Results): Record<string, string | number>[] {
  return results.flatMap((result) =>
    isRace(result) ? [] : result.contestants.map(({ name, medianMs, ratio }) => ({
      bench: result.bench,
      case: result.case,
      by: name,
      ms: medianMs,
      "per second": `${(1000 * result.amount / medianMs).toPrecision(3)} ${result.unit}s`,
      "times the first": ratio.median,
    }))
  );
}

/** What records were measured on, the newest first. */
export function machineTable(records: readonly BenchDocument[]): Record<string, string | number>[] {
  return records.map(({ machine, matmulPeak }) => ({
    date: machine.date.slice(0, 10),
    commit: `${machine.commit}${machine.dirty ? " and changes" : ""}`,
    processor: machine.cpu,
    threads: machine.threads,
    "memory, GB": Math.round(machine.memoryBytes / 1e9),
    TensorFlow: machine.tensorflow ?? "none",
    peers: Object.entries(machine.peers).map(([name, version]) => `${name} ${version}`).join(", "),
    "GFLOP/s": Math.round(matmulPeak.gflops),
  }));
}
