import assert from "node:assert/strict";
import { quantizationArm } from "../../lib/experiments/quantization_arms.ts";
import {
  activationCurves,
  activationTrends,
  bitCurves,
  lossBars,
  sensitivityCells,
  shareCurves,
} from "../../lib/experiments/quantization_figures.ts";
import { mean } from "../../lib/measure/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { halfWidth } from "./_entropy_training.ts";
import { assertNear } from "./_made_runs.ts";
import {
  KNOWN,
  madeHistogram,
  type MadeNumber,
  MODULES,
  PARTS,
  PRESET,
  quantizedResults,
  SPECS,
  TEXT,
} from "./_quantized.ts";

const PLACES = [0, 1, 2];
const FORMAT = PRESET.sweepFormat;
const NAMES = ["noise 2⁻³", "no noise"];

/** A number of its own for everything that is measured. */
const made: MadeNumber = (...label) => 1 + createRandom(9).stream(label.join()).uniform();
const RESULTS = quantizedResults(SPECS, made);

const madeOf = (family: string, arm: string, quantity: string) =>
  PLACES.map((place) => made(family, arm, quantity, place));
const madeCosts = (family: string, arm: string, quantity: string) => {
  const losses = madeOf(family, arm, "loss");
  return madeOf(family, arm, quantity).map((loss, place) => loss - losses[place]!);
};

type Bar = { group: string; arm: string; value: number; interval?: readonly [number, number] };

function assertBars(
  found: readonly Bar[],
  expected: readonly (readonly [group: string, arm: string, values: readonly number[]])[],
): void {
  assert.deepEqual(
    found.map(({ group, arm }) => [group, arm]),
    expected.map(([group, arm]) => [group, arm]),
  );
  found.forEach(({ value, interval }, i) => {
    const [group, arm, values] = expected[i]!;
    const what = `${group}, ${arm}`;
    assertNear(value, mean(values), what);
    assertNear(interval![0], mean(values) - halfWidth(values), `${what}: low`);
    assertNear(interval![1], mean(values) + halfWidth(values), `${what}: high`);
  });
}

/** Fails unless rows agree in everything, in `y` within rounding. */
function assertRows<Row extends { y: number }>(
  found: readonly Row[],
  expected: readonly Row[],
): void {
  const labels = (rows: readonly Row[]) => rows.map(({ y: _, ...rest }) => rest);
  assert.deepEqual(labels(found), labels(expected));
  found.forEach(({ y }, i) => assertNear(y, expected[i]!.y, `row ${i}`));
}

Deno.test("lossBars() are losses: not rounded, in a format, with a fitted temperature", () => {
  assertBars(
    lossBars(RESULTS, KNOWN, NAMES, "e5m2"),
    NAMES.flatMap((arm) => ([
      [arm, "not rounded", madeOf(KNOWN, arm, "loss")],
      [arm, "e5m2", madeOf(KNOWN, arm, "down output e5m2")],
      [arm, "e5m2, temperature fitted", madeOf(KNOWN, arm, "tempered e5m2")],
    ] as const)),
  );
});

Deno.test("bars of one seed have no intervals", () => {
  const [seed] = PRESET.known.seeds;
  const results = RESULTS.filter(({ config }) => config.spec.training.seed === seed);
  const bars = lossBars(results, KNOWN, NAMES, "e5m2");
  assert.equal(bars.length, 3 * NAMES.length);
  for (const bar of bars) assert.equal("interval" in bar, false);
});

Deno.test("shareCurves() are the noise's width over the embedding's deviation", () => {
  const widths = PRESET.known.noiseWidths;
  assertRows(
    shareCurves(RESULTS, KNOWN, widths),
    widths.flatMap((x) =>
      PRESET.known.seeds.map((seed, place) => ({
        arm: KNOWN,
        seed,
        x,
        y: x / made(KNOWN, quantizationArm.noise(x), "deviation", place),
      }))
    ),
  );
});

Deno.test("sensitivityCells() are log10 of mean costs, modules down, arms across", () => {
  const names = ["CLM", "no noise", "fake e4m3fn"];
  for (const sites of [["output"], ["weight"], ["output", "weight"]] as const) {
    const { rows, columns, values } = sensitivityCells(RESULTS, TEXT, names, {
      sites,
      format: FORMAT,
    });
    assert.deepEqual(rows, MODULES.augmented);
    const wanted = sites.flatMap((site) => names.map((arm) => [arm, site] as const));
    assert.deepEqual(
      columns,
      wanted.map(([arm, site]) => sites.length === 1 ? arm : `${arm}, ${site}`),
    );
    assert.equal(values.length, rows.length);
    rows.forEach((row, i) => {
      assert.equal(values[i]!.length, columns.length);
      wanted.forEach(([arm, site], j) => {
        const found = values[i]![j]!;
        const what = `${row}, ${arm}, ${site}`;
        // A causal model's modules are those of a decoder.
        if (arm === "CLM" && row !== "decoder.embedding") return assert.equal(found, null, what);
        const module = arm === "CLM" ? "embedding" : row;
        const cost = mean(madeCosts(TEXT, arm, `${module} ${site} ${FORMAT}`));
        assertNear(found, Math.log10(Math.max(1e-4, cost)), what);
      });
    });
  }
});

Deno.test("sensitivityCells() draw what costs next to nothing, or less, as a ten-thousandth", () => {
  const costs = [1, 0.01, 2e-4, 1e-4 / 2, -3];
  const withCosts: MadeNumber = (_family, _arm, quantity, place) => {
    if (quantity === "loss") return 0;
    const [module] = quantity.split(" ");
    // The mean over seeds is the middle one's.
    const at = (MODULES.augmented as readonly string[]).indexOf(module!);
    return (costs[at] ?? NaN) * (1 + (place - 1) / 2);
  };
  const { values } = sensitivityCells(quantizedResults(SPECS, withCosts), KNOWN, ["no noise"], {
    sites: ["output"],
    format: FORMAT,
  });
  const expected = [0, -2, Math.log10(2) - 4, -4, -4];
  values.forEach(([value], i) => assertNear(value!, expected[i]!, MODULES.augmented[i]!));
});

Deno.test("sensitivityCells() keep the modules that cost some arm the most, in their order", () => {
  const costs = [2, 0.1, 0.3, 0.2, 1];
  const withCosts: MadeNumber = (_family, arm, quantity) => {
    if (quantity === "loss") return 0;
    const at = (MODULES.augmented as readonly string[]).indexOf(quantity.split(" ")[0]!);
    // The second module costs little in one arm and the most in the other.
    return at === 1 && arm === "noise 2⁻³" ? 3 : costs[at] ?? NaN;
  };
  const options = { sites: ["output"], format: FORMAT } as const;
  const rowsOf = (most: number) =>
    sensitivityCells(quantizedResults(SPECS, withCosts), KNOWN, NAMES, { ...options, most }).rows;
  const all = MODULES.augmented;
  assert.deepEqual(rowsOf(2), [all[0], all[1]]);
  assert.deepEqual(rowsOf(3), [all[0], all[1], all[4]]);
});

Deno.test("sensitivityCells() of causal models alone have their own modules", () => {
  const { rows, values } = sensitivityCells(RESULTS, TEXT, ["CLM"], {
    sites: ["output"],
    format: FORMAT,
  });
  assert.deepEqual(rows, MODULES.causal);
  assert.equal(values.length, 1);
  assert.notEqual(values[0]![0], null);
});

Deno.test("activationCurves() are densities, of one seed's run of each arm", () => {
  PRESET.known.seeds.forEach((seed, place) => {
    const curves = activationCurves(RESULTS, KNOWN, NAMES, seed);
    const { edges, counts } = madeHistogram(place);
    const [low, high] = [edges[0]!, edges.at(-1)!];
    const total = counts.reduce((sum, count) => sum + count);
    for (const name of NAMES) {
      const rows = curves.filter(({ arm }) => arm === name);
      assert.equal(rows.length, 32);
      const width = (high - low) / rows.length;
      rows.forEach(({ facet, seed: found, x, y }, bar) => {
        assert.deepEqual([facet, found], [KNOWN, seed]);
        assertNear(x, low + width * (bar + 0.5), `bar ${bar}`);
        const inside = counts.filter((_, i) => Math.floor(i / 4) === bar);
        assertNear(y, inside.reduce((sum, count) => sum + count) / total / width, `bar ${bar}`);
      });
      const area = rows.reduce((sum, { y }) => sum + y * width, 0);
      assertNear(area, 1, "area");
    }
    assert.equal(curves.length, 32 * NAMES.length);
  });
});

Deno.test("activationTrends() are mean and deviation of each part of the text, a panel each", () => {
  assertRows(
    activationTrends(RESULTS, TEXT, NAMES),
    ([["mean", "mean"], ["standard deviation", "deviation"]] as const).flatMap(
      ([facet, quantity]) =>
        NAMES.flatMap((arm) =>
          PRESET.text.seeds.flatMap((seed, place) =>
            Array.from({ length: PARTS }, (_, x) => ({
              arm,
              facet,
              seed,
              x,
              y: made(TEXT, arm, `${quantity} ${x}`, place),
            }))
          )
        ),
    ),
  );
});

Deno.test("bitCurves() are what rounding to so many bits costs, seed by seed", () => {
  const bits = [8, 3];
  assertRows(
    bitCurves(RESULTS, KNOWN, NAMES, bits),
    NAMES.flatMap((arm) =>
      bits.flatMap((x) =>
        madeCosts(KNOWN, arm, `${x} bits`).map((cost, place) => ({
          arm,
          facet: KNOWN,
          seed: PRESET.known.seeds[place]!,
          x,
          y: Math.max(1e-4, cost), // for a logarithmic axis
        }))
      )
    ),
  );
  assert.throws(
    () => bitCurves(RESULTS, KNOWN, NAMES, [9]),
    /^RangeError: no evaluation of known bits, noise 2⁻³ 0 at 9 bits/,
  );
});
