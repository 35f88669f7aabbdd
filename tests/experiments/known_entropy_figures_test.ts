import assert from "node:assert/strict";
import { estimateSets } from "../../lib/experiments/estimate_sets.ts";
import {
  accuracyBars,
  accuracyTable,
  boundTable,
  embeddingUse,
  knownPoints,
  knownPositionCurves,
  shortfallCurves,
  sourceTable,
  trainingCurves,
} from "../../lib/experiments/known_entropy_figures.ts";
import type { AccuracyRow } from "../../lib/experiments/known_entropy_summary.ts";
import { type Accuracy, mean } from "../../lib/measure/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { exactValues, PRESET, SPECS } from "./_known.ts";
import {
  madeAccuracies,
  type MadeAccuracy,
  type MadeEstimate,
  withEstimates,
  withSourceEntropy,
} from "./_made_estimates.ts";
import { type Made, makeResults } from "./_made_results.ts";
import { assertNear } from "./_made_runs.ts";

const { seeds } = PRESET;
const SOURCES = ["coin", "chain"];

/** A number of its own for every label, 0 to 1. */
const draw = (...label: readonly unknown[]) => createRandom(5).stream(label.join()).uniform();

/** Runs whose losses say of which source they are. */
function resultsOf(made: (source: string, ...of: Parameters<Made>) => number) {
  return SOURCES.flatMap((source) =>
    makeResults(SPECS.filter(({ family }) => family === source), (...of) => made(source, ...of))
  );
}

/** All that rows of accuracies have, drawn. */
const drawn: MadeAccuracy = ({ source, arm, estimator, seed, truth }) => {
  const of = (column: string) => draw(source, arm, estimator, seed, truth, column);
  return {
    bias: of("bias") - 0.5,
    rmse: of("rmse"),
    rankCorrelation: source === "coin" && truth === "entropy" ? null : of("rank"),
    count: 20,
  };
};
const ROWS = madeAccuracies(SPECS, drawn);

const rowsOf = (of: Partial<AccuracyRow>) =>
  ROWS.filter((row) =>
    Object.entries(of).every(([field, value]) => row[field as keyof AccuracyRow] === value)
  );

Deno.test("sourceTable() has the exact values of every source, and the causal model's loss", () => {
  const losses = (source: string, arm: string, quantity: string, place: number) =>
    arm === "CLM, 20 steps" && quantity === "end" ? (source === "coin" ? 1.25 : 2.5) + place : NaN;
  const results = withSourceEntropy(resultsOf(losses), (source) => ({
    entropyNats: source === "coin" ? 1.5 : 0.5,
    surprisalNats: source === "coin" ? 1.75 : 0.25,
  }));
  const row = (
    source: string,
    kind: string,
    [entropy, surprisal, loss]: readonly [number, number, number],
  ) => ({
    source,
    kind,
    "exact entropy": entropy,
    "exact surprisal of the held-out tokens": surprisal,
    "CLM's loss on them": loss,
    excess: loss - surprisal,
  });
  assert.deepEqual(sourceTable(results, PRESET), [
    row("coin", "iid", [1.5, 1.75, 2.25]),
    row("chain", "markov", [0.5, 0.25, 3.5]),
  ]);
  assert.throws(
    () => sourceTable(results.filter(({ config }) => config.spec.family === "coin"), PRESET),
    new RangeError('no arm "CLM, 20 steps" of chain, packed'),
  );
});

const LABELS: Readonly<Record<string, string>> = {
  "CLM, predictive entropy": "predictive-entropy",
  "CLM, loss": "loss",
  "2EEM of the CLM's loss": "second-order",
  "EEM, pad-shift": "pad-shift",
  "EEMs, two windows": "two-window",
};

Deno.test("accuracyBars() are means over seeds after the longest training, and their range", () => {
  const control: Accuracy = { bias: 7, rmse: 8, rankCorrelation: null, count: 1 };
  const surprisal = { coin: control, chain: { ...control, bias: 17, rmse: 18 } };
  for (const column of ["bias", "rmse"] as const) {
    const bars = accuracyBars(ROWS, PRESET, column, surprisal);
    const expected = Object.entries(LABELS).flatMap(([arm, estimator]) =>
      SOURCES.map((group) => {
        const rows = seeds.map((seed) => {
          const found = rowsOf({ source: group, estimator: estimator as "loss", steps: 20, seed })
            .filter(({ arm, truth }) => truth === "entropy" && arm !== "EEM, 1 numbers");
          assert.equal(found.length, 1);
          return found[0]![column];
        });
        return { group, arm, value: mean(rows), interval: [Math.min(...rows), Math.max(...rows)] };
      })
    );
    const controls = SOURCES.map((group) => ({
      group,
      arm: "exact surprisal (control)",
      value: surprisal[group as "coin"][column],
    }));
    assert.deepEqual(bars, [...expected, ...controls]);
  }
  const single = ROWS.filter(({ seed }) => seed === seeds[0]);
  for (const bar of accuracyBars(single, PRESET, "rmse", surprisal)) {
    assert.equal("interval" in bar, false);
  }
});

Deno.test("accuracyTable() has means over sources and seeds, the best seed's, the ensemble's", () => {
  const table = accuracyTable(ROWS, PRESET);
  const all = { ...LABELS, "EEM, occlusion L1": "occlusion-l1" };
  const others = {
    "EEM, occlusion cosine": "occlusion-cosine",
    "EEM, gradient × input": "gradient-input",
  };
  assert.deepEqual(
    table.map(({ estimator }) => estimator),
    [...Object.keys(all), ...Object.keys(others)],
  );
  const close = (found: unknown, expected: number, what: string) =>
    assertNear(found as number, expected, what);
  for (const [label, name] of Object.entries(all)) {
    const row = table.find(({ estimator }) => estimator === label)!;
    const estimator = name as "loss";
    const of = (truth: "entropy" | "surprisal") =>
      rowsOf({ estimator, truth, steps: 20 })
        .filter(({ arm, seed }) => arm !== "EEM, 1 numbers" && seed !== null);
    assert.equal(of("entropy").length, 2 * seeds.length);
    assert.equal(row["tokens a source"], 20);
    const ranks = of("entropy").flatMap(({ rankCorrelation }) => rankCorrelation ?? []);
    assert.equal(ranks.length, seeds.length);
    close(row["rank correlation with entropy"], mean(ranks), label);
    const others = of("surprisal").map(({ rankCorrelation }) => rankCorrelation!);
    close(row["with surprisal"], mean(others), label);
    const nats = [
      "bias, nats",
      "RMSE, nats",
      "RMSE of the best seed",
      "of the ensemble",
      "RMSE against surprisal",
    ];
    if (estimator as string === "occlusion-l1") {
      for (const column of nats) assert.equal(row[column], null, column);
      continue;
    }
    const rmses = (rows: readonly AccuracyRow[]) => mean(rows.map(({ rmse }) => rmse));
    const ofSeed = (seed: number | null) =>
      rmses(
        rowsOf({ estimator, truth: "entropy", steps: 20, seed })
          .filter(({ arm }) => arm !== "EEM, 1 numbers"),
      );
    close(row["bias, nats"], mean(of("entropy").map(({ bias }) => bias)), label);
    close(row["RMSE, nats"], rmses(of("entropy")), label);
    close(row["RMSE of the best seed"], Math.min(...seeds.map(ofSeed)), label);
    close(row["of the ensemble"], ofSeed(null), label);
    close(row["RMSE against surprisal"], rmses(of("surprisal")), label);
  }
});

Deno.test("accuracyTable() has no ranks where every source is constant, nor one seed's ensemble", () => {
  const rows = ROWS.filter(({ source, seed }) => source === "coin" && seed === seeds[0]);
  for (const row of accuracyTable(rows, PRESET)) {
    assert.equal(row["rank correlation with entropy"], null);
    assert.equal(row["of the ensemble"], null);
  }
  const isShort = ({ steps, estimator }: AccuracyRow) => steps === 10 || estimator === "loss";
  const table = accuracyTable(ROWS.filter(isShort), PRESET);
  assert.deepEqual(table.map(({ estimator }) => estimator), ["CLM, loss"]);
});

Deno.test("embeddingUse() sets errors of pad-shift against what a neighbour's embedding costs", () => {
  const results = resultsOf((source, arm, quantity, place) => {
    const own = draw(source, arm) + place;
    if (quantity === "end") return own;
    return quantity === "foreign" ? own + draw(source, arm, "cost", seeds[place]) : NaN;
  });
  const points = embeddingUse(results, ROWS, PRESET);
  const arms = [["coin", "EEM, 20 steps"], ["chain", "EEM, 20 steps"], ["chain", "EEM, 1 numbers"]];
  const expected = arms.flatMap(([source, arm]) =>
    seeds.map((seed) => {
      const [row, ...more] = rowsOf({
        source: source!,
        arm: arm!,
        seed,
        estimator: "pad-shift",
        truth: "surprisal",
      });
      assert.equal(more.length, 0);
      return {
        source,
        x: draw(source, arm, "cost", seed),
        y: row!.rmse,
        label: `${arm}, seed ${seed}`,
      };
    })
  );
  assert.equal(points.length, expected.length);
  points.forEach((point, i) => {
    const { source, x, y, label } = expected[i]!;
    assert.deepEqual([point.arm, point.label, point.y], [source, label, y]);
    assertNear(point.x, x, label);
  });
});

Deno.test("boundTable() bounds a source's entropy by embedding and rest, smallest first", () => {
  const boundsOf = (losses: Readonly<Record<string, number>>) => {
    const results = resultsOf((source, arm, quantity, place) =>
      source === "chain" && quantity === "4 bits" ? losses[arm]! + (place - 1) / 10 : NaN
    );
    const known = withSourceEntropy(results, (source) => ({
      entropyNats: NaN,
      surprisalNats: source === "chain" ? 0.5 : NaN,
    }));
    return boundTable(known, PRESET);
  };
  // Six tokens, of which five are scored: 4 bits are 0.55 nats each.
  for (const [larger, tightest] of [[0.25, ["yes", ""]], [0.15, ["", "yes"]]] as const) {
    const losses = [0.75, larger];
    const table = boundsOf({ "EEM, 1 numbers": 0.75, "EEM, 20 steps": larger });
    assert.equal(table.length, 2);
    table.forEach((row, i) => {
      const bits = 4 * (i + 1);
      assert.equal(row["bits of the embedding"], bits);
      assertNear(row["loss, rounded"] as number, losses[i]!, "loss");
      const bound = losses[i]! + bits * Math.log(2) / 5;
      assertNear(row["bound, loss + |e| ln 2"] as number, bound, "bound");
      assert.equal(row["exact surprisal"], 0.5);
      assert.equal(row.tightest, tightest[i]);
    });
  }
});

Deno.test("trainingCurves() are errors by training steps, means over the sources, seed by seed", () => {
  const curves = trainingCurves(ROWS, PRESET, ["pad-shift", "loss"]);
  const expected = ([["EEM, pad-shift", "EEM", "pad-shift"], ["CLM, loss", "CLM", "loss"]] as const)
    .flatMap(([label, arm, estimator]) =>
      [10, 20].flatMap((steps) =>
        seeds.map((seed) => {
          const rows = rowsOf({ arm: `${arm}, ${steps} steps`, estimator, seed, truth: "entropy" });
          assert.equal(rows.length, 2);
          return { arm: label, seed, x: steps, y: mean(rows.map(({ rmse }) => rmse)) };
        })
      )
    );
  assert.deepEqual(curves, expected);
});

Deno.test("shortfallCurves() are what embeddings of each size tell, and what they cost", () => {
  const curves = shortfallCurves(ROWS, PRESET);
  const expected = ([[1, "EEM, 1 numbers"], [2, "EEM, 20 steps"]] as const)
    .flatMap(([numbers, arm]) =>
      seeds.flatMap((seed) => {
        const [row] = rowsOf({
          source: "chain",
          arm,
          seed,
          estimator: "pad-shift",
          truth: "surprisal",
        });
        return [[seed, numbers, -row!.bias], [seed, numbers, 4 * numbers * Math.log(2) / 5]];
      })
    );
  assert.equal(curves.length, expected.length);
  curves.forEach(({ arm, seed, x, y }, i) => {
    assert.match(arm, i % 2 === 0 ? /surprisal − mean estimate/ : /ln 2.*4 bits/);
    assert.deepEqual([seed, x], expected[i]!.slice(0, 2));
    assertNear(y, expected[i]![2]!, arm);
  });
  const [, seed] = seeds;
  assert.throws(
    () => shortfallCurves(ROWS.filter((row) => row.seed !== seed), PRESET),
    new RangeError(`no pad-shift estimates by "EEM, 1 numbers", seed ${seed}`),
  );
});

/**
 * Exact entropies and 0.5 more, of arms after the longest training, and each seed 1 more than the
 * one before; others say nonsense.
 */
const estimates: MadeEstimate = ({ arm, estimator, seed, data, window, position }) => {
  if (!arm.endsWith("20 steps")) return 99;
  const nats = exactValues(data).entropy[window]![position]!;
  return nats + (estimator === "pad-shift" ? 0.5 : 0) + seeds.indexOf(seed);
};
const RESULTS = withEstimates(resultsOf(() => NaN), estimates);

Deno.test("knownPositionCurves() are mean estimates by position, beside the exact entropy", async () => {
  const of = ["pad-shift", "predictive-entropy"] as const;
  const curves = await knownPositionCurves(RESULTS, "chain", PRESET, of);
  const meansOf = (layout: string) => {
    const { data } = SPECS.find(({ family, data }) =>
      family === "chain" && data.layout === layout
    )!;
    const rows = exactValues(data).entropy.slice(0, PRESET.windows);
    return [1, 2, 3, 4, 5].map((t) => mean(rows.map((row) => row[t]!)));
  };
  const expected = [
    ["exact entropy", meansOf("padded")],
    ["EEM, pad-shift", meansOf("padded").map((nats) => nats + 0.5)],
    ["CLM, predictive entropy", meansOf("packed")],
  ] as const;
  const places = expected.flatMap(([arm, means]) =>
    seeds.flatMap((seed, place) => {
      const more = arm === "exact entropy" ? 0 : place;
      return means.map((y, i) => ({ arm, seed, x: i + 1, y: y + more }));
    })
  );
  assert.equal(curves.length, places.length);
  curves.forEach(({ y, ...found }, i) => {
    const { y: nats, ...place } = places[i]!;
    assert.deepEqual(found, place);
    assertNear(y, nats, place.arm);
  });
});

Deno.test("knownPoints() are the first seed's tokens after the longest training", async () => {
  const points = await knownPoints(RESULTS, "chain", PRESET, ["pad-shift", "two-window"]);
  const { windows, pairWindows } = PRESET;
  assert.deepEqual(
    points.map(({ arm }) => arm),
    [
      ...Array(5 * windows).fill("EEM, pad-shift"),
      ...Array(pairWindows).fill("EEMs, two windows"),
    ],
  );
  for (const { arm, x, y } of points) {
    assertNear(y, x + (arm === "EEM, pad-shift" ? 0.5 : 0), arm);
  }
  const [set] = estimateSets(RESULTS).filter(({ family, arm, estimator }) =>
    family === "chain" && arm === "EEM, 20 steps" && estimator === "pad-shift"
  );
  const exact = exactValues(set!.data).entropy.slice(0, windows).flatMap((row) => row.slice(1));
  exact.forEach((nats, i) => assertNear(points[i]!.x, nats, "exact entropy"));
});

Deno.test("knownPoints() and knownPositionCurves() name estimates that are missing", async () => {
  const missing = new RangeError('no estimates of shift-l1 on source "coin"');
  for (const show of [knownPoints, knownPositionCurves]) {
    await assert.rejects(show(RESULTS, "coin", PRESET, ["pad-shift", "shift-l1"]), missing);
  }
});
