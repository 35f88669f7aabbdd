import assert from "node:assert/strict";
import type { EstimatorName, WindowEstimates } from "../../lib/entropy/mod.ts";
import { prepareData } from "../../lib/experiments/data.ts";
import { TOKEN_ENTROPY_PRESETS } from "../../lib/experiments/entropy_presets.ts";
import { type EstimateSet, estimateSets } from "../../lib/experiments/estimate_sets.ts";
import { tokenEntropySpecs } from "../../lib/experiments/token_entropy_arms.ts";
import {
  estimatedTexts,
  highlighted,
  positionCurves,
  regressionPoints,
  regressionTable,
  secondOrderTable,
  wordPartBars,
} from "../../lib/experiments/token_entropy_figures.ts";
import {
  regressionSpecs,
  type SeedRegression,
} from "../../lib/experiments/token_entropy_summary.ts";
import { fullWindows } from "../../lib/experiments/token_estimates.ts";
import { UserError } from "../../lib/errors.ts";
import { withFiles } from "../text/_temporary.ts";
import { withEstimates } from "./_made_estimates.ts";
import { makeResults } from "./_made_results.ts";
import { assertNear } from "./_made_runs.ts";
import { shortDocuments, tinySpec } from "./_tiny.ts";
import { optionsIn } from "./_tiny_runs.ts";

Deno.test("estimatedTexts() are the tokens of the windows that runs estimate, as text", () =>
  withFiles(shortDocuments(), async (folder) => {
    const { data } = tinySpec(folder, "clm");
    const padded = { ...data, layout: "padded" } as const;
    const options = optionsIn(folder);
    const texts = await estimatedTexts({ data: padded, windows: 4 }, options);
    const { tokenizer, training } = await prepareData(padded, options);
    const { ids } = fullWindows(training.heldOut, 4);
    assert.deepEqual(texts.flat(), [...ids].map((id) => tokenizer.tokenText(id)));
    const documents = shortDocuments()["corpus.jsonl"]!.split("\n")
      .map((line) => JSON.parse(line).text as string);
    for (const tokens of texts) {
      assert.equal(tokens.length, 8);
      assert.ok(documents.some((text) => text.startsWith(tokens.join(""))), tokens.join("|"));
    }
    await assert.rejects(estimatedTexts({ data: padded, windows: 99 }, options), UserError);
  }));

Deno.test("highlighted() are a window's tokens with their estimates", () => {
  const texts = [["a", "b"], ["c", "d"]];
  assert.deepEqual(highlighted(texts, [[null, 1], [null, 0]], 1), [
    { text: "c", position: 0, estimate: null },
    { text: "d", position: 1, estimate: 0 },
  ]);
});

const { small } = TOKEN_ENTROPY_PRESETS;
const SPEC = regressionSpecs(small)["pad-shift, small CLM"];

const REGRESSION: SeedRegression = {
  spec: SPEC,
  slopes: [1, 2, 3],
  intercepts: [-1, -1, -1],
  rSquared: [0.25, 0.5, 0.7504],
  windowInterval: { low: 0.1, high: 0.2004, level: 0.95 },
  pairs: [{ window: 0, position: 1, x: 2, y: 3 }, { window: 1, position: 4, x: 5, y: 6 }],
};

Deno.test("regressionTable() has every regression beside the paper's", () => {
  const single = {
    ...REGRESSION,
    spec: { ...SPEC, paper: null },
    slopes: [1.23456],
    intercepts: [0],
    rSquared: [1],
  };
  const [several, one] = regressionTable({ "of three": REGRESSION, "of one": single });
  // Student's t of two degrees of freedom: 4.30265 / √3 = 2.484.
  assert.deepEqual(several, {
    "y, x": "of three",
    slope: "2.000 (-0.484 to 4.484)",
    "slope, paper": 1.4685,
    intercept: "-1.000 (-1.000 to -1.000)",
    "intercept, paper": -1.1879,
    "R², seed by seed": "0.250, 0.500, 0.750",
    "R² over windows, first seed": "0.100 to 0.200",
    "R², paper": 0.3285,
  });
  assert.deepEqual(one, {
    "y, x": "of one",
    slope: "1.235",
    "slope, paper": "",
    intercept: "0.000",
    "intercept, paper": "",
    "R², seed by seed": "1.000",
    "R² over windows, first seed": "0.100 to 0.200",
    "R², paper": "",
  });
});

Deno.test("regressionPoints() are the first seed's tokens, and its line", () => {
  assert.deepEqual(regressionPoints("tokens", REGRESSION), {
    rows: [{ arm: "tokens", x: 2, y: 3 }, { arm: "tokens", x: 5, y: 6 }],
    fit: { arm: "tokens", slope: 1, intercept: -1, rSquared: 0.25 },
  });
});

const ALL = estimateSets(withEstimates(makeResults(tokenEntropySpecs(small), () => NaN), () => 0));

/** The sets of one arm and estimator, a seed each, with these values; all others have zeros. */
function setsWith(
  made: readonly (readonly [arm: string, EstimatorName, readonly WindowEstimates[]])[],
): EstimateSet[] {
  return ALL.map((set) => {
    const [, , values] = made.find(([arm, name]) => arm === set.arm && name === set.estimator) ??
      [];
    return values === undefined ? set : { ...set, values: values[small.seeds.indexOf(set.seed)]! };
  });
}

const CURVES = [
  { label: "first", arm: "small CLM", estimator: "loss" },
  { label: "second", arm: "2EEM, shift", estimator: "second-order" },
] as const;

Deno.test("positionCurves() are a curve a seed of every estimator that is asked for", () => {
  const sets = setsWith([
    ["small CLM", "loss", [[[null, 1, 2], [null, 3, 6]], [[null, 5, 5]], [[null, 7, 8]]]],
    ["2EEM, shift", "second-order", [[[null, 0, 1]], [[null, null, 2]], [[null, 3, 4]]]],
  ]);
  const [a, b, c] = small.seeds;
  assert.deepEqual(
    positionCurves(sets, CURVES).map(({ arm, seed, x, y }) => [arm, seed, x, y]),
    [
      ["first", a, 1, 2],
      ["first", a, 2, 4],
      ["first", b, 1, 5],
      ["first", b, 2, 5],
      ["first", c, 1, 7],
      ["first", c, 2, 8],
      ["second", a, 1, 0],
      ["second", a, 2, 1],
      ["second", b, 2, 2],
      ["second", c, 1, 3],
      ["second", c, 2, 4],
    ],
  );
  assert.throws(
    () => positionCurves(sets, [{ label: "none", arm: "small CLM", estimator: "pad-shift" }]),
    new RangeError('no estimates of pad-shift by arm "small CLM"'),
  );
});

Deno.test("wordPartBars() are means by part of a word, with intervals over seeds", () => {
  const texts = [["The", " un", "ion", "."]];
  const sets = setsWith([
    ["small CLM", "loss", [[[null, 1, 4, 5]], [[null, 2, 4, 5]], [[null, 3, 4, 5]]]],
    ["2EEM, shift", "second-order", [1, 1, 1].map((one) => [[null, one, one, one]])],
  ]);
  const bars = wordPartBars(sets, texts, CURVES);
  assert.deepEqual(bars.map(({ group, arm, value }) => [group, arm, value]), [
    ["begins a word", "first", 2],
    ["goes on with a word", "first", 4],
    ["neither", "first", 5],
    ["begins a word", "second", 1],
    ["goes on with a word", "second", 1],
    ["neither", "second", 1],
  ]);
  assertNear(bars[0]!.interval![1], 2 + 4.30265 / Math.sqrt(3), "high", 1e-5);
  const [firstSeed] = small.seeds;
  const single = wordPartBars(sets.filter(({ seed }) => seed === firstSeed), texts, CURVES);
  assert.deepEqual(single[0], { group: "begins a word", arm: "first", value: 1 });
});

Deno.test("secondOrderTable() has errors against the small model's loss, beside its variance", () => {
  const losses = [1, 2, 3, 6];
  const rated = [3, 1, 4, 4];
  const row = (values: readonly number[], factor = 1) => [
    [null, ...values.map((value) => factor * value)],
  ];
  // The second seed's are twice as high.
  const sets = setsWith([
    ["small CLM", "loss", [row(losses), row(losses, 2), row(losses)]],
    // The loss itself; as far above it everywhere; its opposite.
    ["2EEM, no shift", "second-order", [
      row(losses),
      row(losses.map((loss) => loss + 1), 2),
      row(losses, -1),
    ]],
    ["2EEM, shift", "second-order", [row(rated), row(rated, 2), row(rated)]],
  ]);
  const [noShift, shift] = secondOrderTable(sets);
  // Squared errors 0, 4 and (2² + 4² + 6² + 12²) / 4 = 50; variance (4 + 1 + 0 + 9) / 4 and 4 times.
  assert.equal(noShift!.model, "2EEM, no shift");
  assert.match(noShift!["mean squared error, nats²"] as string, /^18\.000 \(-\d/);
  assert.equal(noShift!["variance of the loss, nats²"], 7);
  assert.equal(noShift!["R², seed by seed"], "1.000, 1.000, 1.000");
  // (4 + 1 + 1 + 4) / 4 and 4 times. About the means Σ xy 5, Σ x² 14, Σ y² 6: R² = 25 / 84.
  assert.equal(shift!.model, "2EEM, shift");
  assert.match(shift!["mean squared error, nats²"] as string, /^5\.000 \(-\d/);
  assert.equal(shift!["R², seed by seed"], Array(3).fill((25 / 84).toFixed(3)).join(", "));
  assert.throws(
    () => secondOrderTable(sets.filter(({ arm }) => arm !== "2EEM, shift")),
    new RangeError('no estimates of second-order by arm "2EEM, shift"'),
  );
});
