import assert from "node:assert/strict";
import { summarizeArms } from "../../lib/experiments/arm_summary.ts";
import { autoencoderArm } from "../../lib/experiments/autoencoder_arms.ts";
import { handoverSpecs } from "../../lib/experiments/handover_arms.ts";
import {
  frozenCurve,
  handoverFigures,
  latentCurves,
  latentTable,
  scanCurves,
  speedTable,
} from "../../lib/experiments/handover_figures.ts";
import { handoverArm as names } from "../../lib/experiments/handover_names.ts";
import { HANDOVER_PRESETS, PRESETS } from "../../lib/experiments/presets.ts";
import { assertNear, makeRun } from "./_made_runs.ts";
import { type Made, makeResults } from "./_made_results.ts";

for (const name of PRESETS) {
  Deno.test(`handoverFigures() of ${name} show every arm of the joins, and no other`, () => {
    const preset = HANDOVER_PRESETS[name];
    const panels = Object.values(handoverFigures(preset)).flatMap(Object.values<string[]>);
    for (const arms of panels) assert.equal(new Set(arms).size, arms.length, "twice in a panel");
    const causal = (["mixer", "transformer", "lstm"] as const).map(names.ownRate);
    const arms = handoverSpecs(preset).filter(({ arm, family }) =>
      family === "mixer" || family === "transformer" || causal.includes(arm)
    ).map(({ arm }) => arm);
    assert.deepEqual([...new Set(panels.flat())].sort(), [...new Set(arms)].sort());
  });
}

const SMALL = HANDOVER_PRESETS.small;

/** Results of the arms of one family, all seeds. */
function resultsOf(family: string, made: Made) {
  return makeResults(handoverSpecs(SMALL).filter((spec) => spec.family === family), made);
}

/** The rows of each arm, by the arm's label, as `x`, `seed` and `y`. */
function seriesOf<Row extends { arm: string; x: number; seed: number; y: number }>(
  rows: readonly Row[],
): Map<string, number[][]> {
  const series = new Map<string, number[][]>();
  for (const { arm, x, seed, y } of rows) {
    series.set(arm, [...series.get(arm) ?? [], [x, seed, y]]);
  }
  return series;
}

Deno.test("scanCurves() has the loss by size, unrounded and rounded, every seed a point", () => {
  const sizes = [1, 2, 4, 8, 16, 32, 64];
  const numbersOf = (arm: string) => Number.parseInt(arm);
  const results = resultsOf("scan", (arm, quantity, place) => {
    const rounding = quantity === "end" ? 0 : 100 * Number.parseInt(quantity);
    return 1000 + numbersOf(arm) + rounding + place / 10;
  });
  const { rows, none } = scanCurves(results, SMALL);
  assertNear(none, 1000.1, "without any");
  const series = [...seriesOf(rows)];
  assert.equal(series.length, 3);
  [0, 4, 8].forEach((bits, i) => {
    const [label, points] = series[i]!;
    if (bits > 0) assert.match(label, new RegExp(`\\b${bits} bits`));
    assert.deepEqual(
      points,
      sizes.flatMap((x) => [0, 1, 2].map((seed) => [x, seed, 1000 + x + 100 * bits + seed / 10])),
    );
  });
});

Deno.test("latentCurves() counts the bits of a sequence, with its embedding's and without", () => {
  const sizes = [1, 2, 4, 8, 16];
  // Sixteen scored tokens, so that so many bits a sequence are a sixteenth of them in each.
  const results = resultsOf("latent", (arm, quantity, place) => {
    const [bits, size] = arm.match(/\d+/g)!.map(Number);
    const rounding = quantity === "end" ? 0 : Number.parseInt(quantity) / 8;
    return (bits! / (1 + size!) + rounding + place) * Math.log(2) / 16;
  });
  const rows = latentCurves(results, SMALL);
  const facets = Map.groupBy(rows, ({ facet }) => facet);
  assert.equal(facets.size, SMALL.latent.latentBits.length);
  [...facets].forEach(([facet, rows], i) => {
    const bits = SMALL.latent.latentBits[i]!;
    assert.match(facet!, new RegExp(`\\b${bits}\\b`));
    const series = [...seriesOf(rows).values()];
    const expected = [
      (_: number, seed: number) => bits + seed,
      (size: number, seed: number) => bits / (1 + size) + seed,
      (size: number, seed: number) => 4 * size + bits / (1 + size) + 0.5 + seed,
    ];
    assert.equal(series.length, expected.length);
    expected.forEach((y, i) => {
      const points = sizes.flatMap((size) => [0, 1, 2].map((seed) => [size, seed, y(size, seed)]));
      assert.equal(series[i]!.length, points.length);
      points.forEach((point, at) =>
        point.forEach((value, part) =>
          assertNear(series[i]![at]![part]!, value, `${facet}, series ${i}, point ${at}`)
        )
      );
    });
  });
});

Deno.test("latentTable() has the smallest embedding that tells, and the fewest bits in all", () => {
  /** Bits of a sequence that are left: all but those that the embedding may hold, and a rest. */
  const resultsWith = (rest: number, told: number) =>
    resultsOf("latent", (arm, quantity, place) => {
      const [bits, size] = arm.match(/\d+/g)!.map(Number);
      const paid = quantity === "end" ? 0 : Number.parseInt(quantity) * size!;
      const left = Math.max(bits! - told * paid, 0) + rest;
      return (left + (place - 1) / 10) * Math.log(2) / 16; // the middle seed's is the mean
    });
  const table = latentTable(resultsWith(0.5, 1), SMALL);
  assert.deepEqual(table.map((row) => row["random bits"]), [16, 24, 32]);
  for (const row of table) {
    assertNear(row["no embedding, bits"] as number, (row["random bits"] as number) + 0.5, "none");
    assertNear(
      row["fewest bits, embedding and rest"] as number,
      (row["random bits"] as number) + 0.5,
      "fewest",
    );
    assert.equal(row["at least the random bits"], "yes");
  }
  // 16, 24 and 32 bits are held first by as many; of equal ones any.
  const smallest = table.map((row) =>
    row["smallest embedding that tells three quarters"] as string
  );
  for (const [i, bits] of [16, 24, 32].entries()) {
    const [size, each, paid] = smallest[i]!.match(/\d+/g)!.map(Number);
    assert.deepEqual([size! * each!, paid], [bits, bits]);
  }

  const tooFew = latentTable(resultsWith(9, 1), SMALL);
  // A rest of 9 bits is more than a quarter of 16, 24 and 32.
  assert.ok(
    tooFew.every((row) => row["smallest embedding that tells three quarters"] === "none of these"),
  );
  // Two bits told by each that is paid for: accounting that cannot be right.
  const wrong = latentTable(resultsWith(0, 2), SMALL);
  assert.deepEqual(wrong.map((row) => row["at least the random bits"]), ["NO", "NO", "NO"]);
  assertNear(wrong[0]!["fewest bits, embedding and rest"] as number, 8, "fewest");
});

Deno.test("frozenCurve() sets decoders' losses against the mean of the autoencoder's own", () => {
  const plain = "mixer, 64 wide";
  const training = [names.early(plain, 60), names.early(plain, 180), plain];
  const kernels = [plain, "mixer, kernel 8, 64 wide, repeat", "mixer, kernel 16, 64 wide, repeat"];
  const references = [
    names.noEncoder,
    names.frozen(autoencoderArm.causal("mixer")),
    names.trained(plain),
  ];
  const losses = new Map([
    ...[...training, ...kernels].flatMap((source): [string, number][] => [
      [source, 10 * source.length],
      [names.frozen(source), source.length],
    ]),
    ...references.map((label, i): [string, number] => [label, 5 + i]),
  ]);
  const specs = handoverSpecs(SMALL).filter(({ arm }) => losses.has(arm));
  const results = makeResults(
    specs,
    (arm, quantity, place) => quantity === "end" ? losses.get(arm)! + place : NaN,
  );
  const { rows, references: found } = frozenCurve(results, SMALL);
  // The mean over seeds 0, 1 and 2 is that of seed 1.
  const curve = (sources: readonly string[]) =>
    sources.flatMap(({ length }) =>
      [0, 1, 2].map((seed) => [10 * length + 1, seed, length + seed])
    );
  assert.deepEqual([...seriesOf(rows).values()], [curve(training), curve(kernels)]);
  assert.deepEqual(found, references.map((label, i) => ({ label, y: 6 + i })));
});

Deno.test("speedTable() adds the median training speed over records and seeds", () => {
  const withRates = (seed: number, rates: readonly number[]) => {
    const run = makeRun({ arm: "LSTM", seed, losses: [3, 2] });
    const [train] = run.records.filter((record) => record.type === "train");
    const others = run.records.filter((record) => record.type !== "train");
    const timed = rates.map((tokensPerSecond) => ({ ...train!, tokensPerSecond }));
    return { ...run, records: [...timed, ...others] };
  };
  const arms = summarizeArms([
    withRates(1, [1000, 90.4, 9]),
    withRates(2, [100.4, 2000]),
    makeRun({ arm: "mixer", losses: [3, 1.5] }),
  ]);
  const [lstm, mixer] = speedTable(arms);
  assert.equal(lstm!["tokens/s"], 100);
  assert.equal(lstm!.arm, "LSTM");
  assert.equal(lstm!["loss (nats)"], 2);
  assert.equal(mixer!["tokens/s"], 1);
  assert.equal(mixer!["loss (nats)"], 1.5);
});
