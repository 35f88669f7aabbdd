import assert from "node:assert/strict";
import { validateClaims } from "../../lib/experiments/claims.ts";
import {
  TOKEN_ENTROPY_PRESETS,
  type TokenEntropyPreset,
} from "../../lib/experiments/entropy_presets.ts";
import { type EstimateSet, estimateSets } from "../../lib/experiments/estimate_sets.ts";
import { PRESETS } from "../../lib/experiments/presets.ts";
import { tokenEntropySpecs } from "../../lib/experiments/token_entropy_arms.ts";
import { tokenEntropyClaims } from "../../lib/experiments/token_entropy_claims.ts";
import {
  type RegressionName,
  regressions,
  secondHalfRSquared,
  squaredErrors,
  wordPartGaps,
} from "../../lib/experiments/token_entropy_summary.ts";
import { mean } from "../../lib/measure/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { type MadeEstimate, withEstimates } from "./_made_estimates.ts";
import { assertVerdicts, findClaim, makeResults } from "./_made_results.ts";
import { assertNear, CONTEXT } from "./_made_runs.ts";

const LENGTH = 32;
const WINDOWS = 24;

/** Words of two tokens, and a full stop behind each. */
const SENTENCES = [" un", "ion", "."];
const TEXTS = Array.from(
  { length: WINDOWS },
  () => Array.from({ length: LENGTH }, (_, t) => SENTENCES[t % 3]!),
);
/** 1 where a word begins, −1 where it goes on. */
const beginning = (position: number) => [1, -1, 0][position % 3]!;

/** Numbers of N(0, 1) for every token of a seed, by name: names are independent of each other. */
const draws = new Map<string, Float32Array>();
function noise(name: string, seed: number, window: number, position: number): number {
  const key = `${name} ${seed}`;
  const drawn = draws.get(key) ??
    createRandom(seed).stream(name).normals(WINDOWS * LENGTH, 0, 1);
  draws.set(key, drawn);
  return drawn[window * LENGTH + position]!;
}

for (const name of PRESETS) {
  const preset: TokenEntropyPreset = {
    ...TOKEN_ENTROPY_PRESETS[name],
    data: { ...TOKEN_ENTROPY_PRESETS[name].data, contextLength: LENGTH },
    windows: WINDOWS,
  };
  const [base, large, largest] = preset.embeddingSizes;
  const specs = tokenEntropySpecs(preset);
  const resultsIn = (made: MadeEstimate) => withEstimates(makeResults(specs, () => NaN), made);
  const claimsIn = (made: MadeEstimate) =>
    tokenEntropyClaims(resultsIn(made), preset, TEXTS, CONTEXT);
  const isSingle = preset.seeds.length === 1;
  const holds = isSingle ? "trend only" : "reproduced";

  /** Which estimates a token's are. */
  const labelOf = ({ arm, estimator }: { arm: string; estimator: string }) =>
    arm === `EEM, ${base} numbers` ? estimator : `${arm}, ${estimator}`;

  const asInPaper: MadeEstimate = (token) => {
    const { seed, window, position } = token;
    const of = (label: string) => noise(label, seed, window, position);
    const small = 4 + 0.4 * beginning(position) + 0.5 * of("small");
    const cosine = 9 - 0.05 * position + 0.4 * of("cosine");
    switch (labelOf(token)) {
      case "small CLM, loss":
        return small;
      case "large CLM, loss":
        return small + 0.4 * of("large");
      case "pad-shift":
        return small + 0.8 * of("exact");
      case "occlusion-cosine":
        return cosine;
      case "occlusion-l1":
        return 7 * cosine + of("l1");
      case `EEM, ${large} numbers, occlusion-l1`:
      case `EEM, ${largest} numbers, occlusion-l1`:
        return of(labelOf(token));
      case "2EEM, no shift, second-order":
        return small + 0.1 * of("second");
      case "2EEM, shift, second-order":
        return small + 0.4 * of("second");
      default:
        return NaN; // what no claim may read
    }
  };
  const turned: MadeEstimate = (token) => {
    const { seed, window, position } = token;
    const of = (label: string) => noise(label, seed, window, position);
    const small = 4 - 0.4 * beginning(position) + 0.05 * position + 0.5 * of("small");
    const exact = small + 0.6 * of("exact");
    switch (labelOf(token)) {
      case "small CLM, loss":
        return small;
      case "pad-shift":
        return exact;
      case "large CLM, loss":
        return exact + 0.5 * of("large");
      case "occlusion-cosine":
        return of("cosine");
      case "occlusion-l1":
      case `EEM, ${large} numbers, occlusion-l1`:
      case `EEM, ${largest} numbers, occlusion-l1`:
        return 2 * small;
      case "2EEM, no shift, second-order":
        return small + 0.4 * of("second");
      case "2EEM, shift, second-order":
        return small + 0.1 * of("second");
      default:
        return NaN;
    }
  };

  /** Slope of least squares of the means over windows on the position, over their mean. */
  const relativeSlope = ({ values }: EstimateSet) => {
    const means = Array.from(
      { length: LENGTH - 1 },
      (_, t) => mean(values.map((row) => row[t + 1]!)),
    );
    const middle = mean(means.keys().toArray());
    const over = (of: (t: number) => number) => means.reduce((sum, _, t) => sum + of(t), 0);
    const slope = over((t) => (t - middle) * means[t]!) / over((t) => (t - middle) ** 2);
    return slope / mean(means);
  };

  Deno.test(`tokenEntropyClaims() of ${name}: every claim is of the estimates it is about`, () => {
    const results = resultsIn(asInPaper);
    const sets = estimateSets(results);
    const fits = regressions(sets, preset);
    const rSquared = (one: RegressionName) => mean(fits[one].rSquared);
    /** Where one of two is of second halves, the other is, too. */
    const ofHalves = (one: RegressionName) => mean(secondHalfRSquared(sets, fits[one].spec));
    const setsBy = (arm: string, estimator: string) =>
      sets.filter((set) => set.arm === arm && set.estimator === estimator);
    const small = setsBy("small CLM", "loss");
    const ofBase = (estimator: string) => setsBy(`EEM, ${base} numbers`, estimator);
    const error = (arm: string) => mean(squaredErrors(setsBy(arm, "second-order"), small));
    const expected = [
      ["E20", ["L1", "cosine"], rSquared("L1, cosine") - rSquared("L1, small CLM"), 0.4088],
      ["E20", ["L1 does not", "causal loss"], rSquared("L1, small CLM"), 0.0107],
      ["E20", ["a large embedding"], rSquared("large embedding's L1, L1"), 0.0424],
      ["E20", ["largest"], rSquared("largest embedding's L1, L1"), 0.0574],
      ["E20", ["attributions decrease"], mean(ofBase("occlusion-l1").map(relativeSlope)), null],
      ["E20", ["causal loss hardly"], mean(small.map(relativeSlope)), null],
      ["E20", ["word's first token", "less certain"], mean(wordPartGaps(small, TEXTS)), null],
      ["E20", ["pad-shift", "first token"], mean(wordPartGaps(ofBase("pad-shift"), TEXTS)), null],
      [
        "E21",
        ["two causal models"],
        ofHalves("small CLM, large CLM") - ofHalves("pad-shift, small CLM"),
        0.1637,
      ],
      [
        "E21",
        ["nearer to the small"],
        ofHalves("pad-shift, small CLM") - ofHalves("pad-shift, large CLM"),
        0.1861,
      ],
      [
        "E21",
        ["attributions do not"],
        ofHalves("pad-shift, large CLM") - ofHalves("L1, small CLM"),
        0.1317,
      ],
      ["E22", ["second-order"], error("2EEM, shift") - error("2EEM, no shift"), null],
    ] as const;
    const rows = tokenEntropyClaims(results, preset, TEXTS, CONTEXT);
    validateClaims(rows, "claims");
    assert.equal(rows.length, expected.length);
    rows.forEach((row, i) => {
      const [experiment, words, ours, paper] = expected[i]!;
      assert.equal(row.experiment, experiment);
      for (const word of words) assert.ok(row.claim.includes(word), `${row.claim}: no "${word}"`);
      assertNear(row.ours!, ours, row.claim);
      if (paper === null) assert.equal(typeof row.paper, "string", row.claim);
      else assertNear(row.paper as number, paper, row.claim);
      assert.deepEqual(row.seeds, preset.seeds);
      assert.equal(row.interval === null, isSingle);
      const { preset: found, backend, git } = row;
      assert.deepEqual({ preset: found, backend, git }, CONTEXT);
    });
  });

  Deno.test(`tokenEntropyClaims() of ${name}: the paper's orders are reproduced`, () => {
    assertVerdicts(claimsIn(asInPaper), holds);
  });

  Deno.test(`tokenEntropyClaims() of ${name}: the paper's orders turned round are not`, () => {
    assertVerdicts(claimsIn(turned), "not reproduced");
  });

  Deno.test(`tokenEntropyClaims() of ${name}, E20: what counts as hardly any`, () => {
    /** The small model's loss, which grows along the window by a share of its mean. */
    const growing = (share: number): MadeEstimate => (token) =>
      labelOf(token) === "small CLM, loss"
        ? 4 * (1 + share * (token.position - LENGTH / 2) / LENGTH) +
          0.01 * noise("small", token.seed, token.window, token.position)
        : asInPaper(token);
    for (const [share, verdict] of [[0.15, holds], [-0.15, holds]] as const) {
      assert.equal(
        findClaim(claimsIn(growing(share)), "E20", ["causal loss hardly"]).verdict,
        verdict,
      );
      assert.equal(
        findClaim(claimsIn(growing(2 * share)), "E20", ["causal loss hardly"]).verdict,
        "not reproduced",
      );
    }
    /** The largest embedding's attributions, which have so much of the smallest's. */
    const sharing = (share: number): MadeEstimate => (token) =>
      labelOf(token) === `EEM, ${largest} numbers, occlusion-l1`
        ? share * asInPaper({ ...token, arm: `EEM, ${base} numbers` }) / 7 + asInPaper(token)
        : asInPaper(token);
    assert.equal(findClaim(claimsIn(sharing(0)), "E20", ["largest"]).verdict, holds);
    assert.equal(findClaim(claimsIn(sharing(1.5)), "E20", ["largest"]).verdict, "not reproduced");
  });

  Deno.test(`tokenEntropyClaims() of ${name} name an arm that is missing`, () => {
    const results = resultsIn(asInPaper);
    const arms = [...new Set(specs.map(({ arm }) => arm))];
    for (const arm of arms) {
      const others = results.filter(({ config }) => config.spec.arm !== arm);
      assert.throws(
        () => tokenEntropyClaims(others, preset, TEXTS, CONTEXT),
        (error) => error instanceof RangeError && error.message.endsWith(`by arm "${arm}"`),
        arm,
      );
    }
  });
}
