import assert from "node:assert/strict";
import {
  type ArmSummary,
  differenceOf,
  finalLosses,
  findArm,
  foreignLosses,
  groupCurves,
  hasEmbedding,
  lossCurves,
  lossesAt,
  lossTable,
  minus,
  namedArm,
  paidLosses,
  priceNats,
  roundedLosses,
  summarizeArms,
  valueOverSeeds,
  withHalfWidth,
} from "../../lib/experiments/arm_summary.ts";
import { CLM, ZEROS } from "../../lib/experiments/baseline_arms.ts";
import type { RunResult } from "../../lib/experiments/run.ts";
import {
  assertNear,
  EEM,
  type Made,
  makeRun,
  oneArm,
  PAPER_CLM,
  PAPER_EEM,
  STEPS,
  TOKENS_PER_STEP,
} from "./_made_runs.ts";

Deno.test("summarizeArms() groups by family, layout and arm, in order, seeds in order", () => {
  const made: Made[] = [
    { ...PAPER_CLM, seed: 5 },
    { ...PAPER_CLM, layout: "padded" },
    { ...PAPER_CLM, family: "mixer" },
    { ...PAPER_EEM },
    { ...PAPER_CLM, seed: 3, losses: [9, 8] },
  ];
  const arms = summarizeArms(made.map(makeRun));
  assert.deepEqual(
    arms.map(({ family, layout, arm, seeds }) => [family, layout, arm, seeds]),
    [
      ["transformer", "packed", CLM, [5, 3]],
      ["transformer", "padded", CLM, [42]],
      ["mixer", "packed", CLM, [42]],
      ["transformer", "packed", EEM, [42]],
    ],
  );
  assert.deepEqual(finalLosses(arms[0]!), [2.515, 8]);
  assert.equal(findArm(arms, "transformer", CLM, "padded"), arms[1]);
  assert.equal(findArm(arms, "mixer", CLM), arms[2]);
  assert.throws(
    () => findArm(arms, "mixer", ZEROS),
    /no arm "EEM, slot of zeros" of mixer, packed/,
  );
});

Deno.test("namedArm() finds the one arm of a name, whatever its family and layout", () => {
  const arms = summarizeArms([
    makeRun(PAPER_CLM),
    makeRun({ ...PAPER_EEM, family: "mixer", layout: "padded" }),
    makeRun({ ...PAPER_CLM, seed: 43 }),
  ]);
  assert.equal(namedArm(arms, CLM), arms[0]);
  assert.equal(namedArm(arms, EEM), arms[1]);
  const refuses = (arms: readonly ArmSummary[], name: string, message: string) =>
    assert.throws(() => namedArm(arms, name), { name: "RangeError", message });
  refuses(arms, ZEROS, `no arm "${ZEROS}"`);
  refuses([...arms, oneArm({ ...PAPER_CLM, family: "mixer" })], CLM, `several arms "${CLM}"`);
});

Deno.test("hasEmbedding() says whether a decoder is handed numbers", () => {
  assert.equal(hasEmbedding(oneArm(PAPER_EEM)), true);
  assert.equal(hasEmbedding(oneArm({ ...PAPER_EEM, numbers: 1 })), true);
  assert.equal(hasEmbedding(oneArm(PAPER_CLM)), false);
});

Deno.test("lossesAt() are at the evaluation nearest to a share of each run's own steps", () => {
  const withEvaluations = (made: Made, losses: Readonly<Record<number, number>>): RunResult => {
    const run = makeRun(made);
    const others = run.records.filter((record) => record.type !== "evaluation");
    const evaluated = Object.entries(losses).map(([step, lossNats]) => {
      const at = { step: Number(step), tokens: Number(step) * TOKENS_PER_STEP };
      return { type: "evaluation", ...at, lossNats, scoredTokens: 1 } as const;
    });
    return { ...run, records: [...others, ...evaluated] };
  };
  const [arm] = summarizeArms([
    withEvaluations(PAPER_CLM, { 20: 5, 60: 4, 100: 3 }),
    withEvaluations({ ...PAPER_CLM, seed: 43 }, { 30: 50, 99: 31, [STEPS]: 30 }),
  ]);
  assert.deepEqual(lossesAt(arm!, 1), [3, 30]);
  assert.deepEqual(lossesAt(arm!, 1), finalLosses(arm!));
  assert.deepEqual(lossesAt(arm!, 0.79), [4, 31]);
  assert.deepEqual(lossesAt(arm!, 0.5), [4, 50]);
  assert.deepEqual(lossesAt(arm!, 1 / 3), [5, 50]);
  assert.deepEqual(lossesAt(arm!, 0), [5, 50]);
});

Deno.test("priceNats() is that of the paper's worked numbers", () => {
  const eem = oneArm(PAPER_EEM);
  assertNear(priceNats(eem, 4), 0.1733, "4 bits", 5e-5);
  assertNear(priceNats(eem, 8), 0.3466, "8 bits", 5e-5);
  assertNear(priceNats(eem, 16), 0.6931, "16 bits", 5e-5);
  assertNear(priceNats(eem, 4, "real tokens"), 64 * 4 * Math.LN2 / 688, "over real tokens");
  assert.equal(priceNats(oneArm(PAPER_CLM), 4), 0);
  assert.equal(priceNats(oneArm(PAPER_CLM), 4, "real tokens"), 0);
});

Deno.test("paidLosses() gives the paper's margins over the causal model", () => {
  const eem = oneArm(PAPER_EEM);
  const [clm] = finalLosses(oneArm(PAPER_CLM));
  const margin = (bits: number, over?: "context" | "real tokens") =>
    clm! - paidLosses(eem, bits, over)[0]!;
  assertNear(margin(4), 0.185, "4 bits over N", 5e-4);
  assertNear(margin(8), 0.012, "8 bits over N", 5e-4);
  assertNear(margin(4, "real tokens"), 0.101, "4 bits over real tokens", 6e-4);
  assertNear(margin(8, "real tokens"), -0.157, "8 bits over real tokens", 6e-4);
});

Deno.test("paidLosses() pays for the rounded loss, arms without an embedding pay nothing", () => {
  const eem = oneArm({ ...PAPER_EEM, rounded: { 4: 2.5, 8: 2.2 } });
  assert.deepEqual(roundedLosses(eem, 4), [2.5]);
  assert.deepEqual(roundedLosses(eem, 8), [2.2]);
  assertNear(paidLosses(eem, 4)[0]!, 2.5 + 64 * 4 * Math.LN2 / 1024, "4 bits");
  assertNear(paidLosses(eem, 8)[0]!, 2.2 + 64 * 8 * Math.LN2 / 1024, "8 bits");
  assert.deepEqual(paidLosses(oneArm(PAPER_CLM), 8), [2.515]);
  assert.deepEqual(roundedLosses(oneArm(PAPER_CLM), 8), [2.515]);
});

Deno.test("roundedLosses() refuses an embedding that was not evaluated at these bits", () => {
  assert.throws(() => roundedLosses(oneArm(PAPER_EEM), 5), /5 bits/);
  const { rounded: _, ...unrounded } = PAPER_EEM;
  assert.throws(() => paidLosses(oneArm(unrounded), 4), /4 bits/);
});

Deno.test("foreignLosses() are what was measured, none without an embedding", () => {
  assert.deepEqual(foreignLosses(oneArm({ ...PAPER_EEM, foreign: 4 })), [4]);
  assert.deepEqual(foreignLosses(oneArm(PAPER_CLM)), []);
});

Deno.test("differenceOf() is the paired mean with Student's interval, one seed has none", () => {
  assert.deepEqual(differenceOf([3], [1]), { mean: 2, low: 2, high: 2 });
  // Differences 1, 2, 3: mean 2, deviation 1, t of two degrees of freedom 4.30265.
  const { mean, low, high } = differenceOf([2, 4, 6], [1, 2, 3]);
  assertNear(mean, 2, "mean");
  assertNear(high - mean, 4.30265 / Math.sqrt(3), "upper half", 1e-5);
  assertNear(mean - low, 4.30265 / Math.sqrt(3), "lower half", 1e-5);
});

Deno.test("minus() is a difference seed by seed, of as many seeds", () => {
  assert.deepEqual(minus([5, 3, 0], [1, 4, 0]), [4, -1, 0]);
  assert.throws(() => minus([1, 2], [1]), /different numbers of seeds/);
  assert.throws(() => minus([1], [1, 2]), /different numbers of seeds/);
});

Deno.test("lossCurves() has every evaluation of the layout, with the price if it is asked for", () => {
  const arms = summarizeArms([
    makeRun(PAPER_CLM),
    makeRun({ ...PAPER_EEM, seed: 7 }),
    makeRun({ ...PAPER_EEM, layout: "padded", losses: [7, 6] }),
  ]);
  const million = TOKENS_PER_STEP * STEPS / 1e6;
  assert.deepEqual(lossCurves(arms), [
    { arm: CLM, facet: "transformer", seed: 42, x: million / 2, y: 2.5801 },
    { arm: CLM, facet: "transformer", seed: 42, x: million, y: 2.515 },
    { arm: EEM, facet: "transformer", seed: 7, x: million / 2, y: 2.379 },
    { arm: EEM, facet: "transformer", seed: 7, x: million, y: 2.1566 },
  ]);
  const price = 64 * 8 * Math.LN2 / 1024;
  const paid = lossCurves(arms, { paidBits: 8 }).map((row) => row.y);
  [2.5801, 2.515, 2.379 + price, 2.1566 + price].forEach((expected, i) =>
    assertNear(paid[i]!, expected, `point ${i}`)
  );
  assert.deepEqual(lossCurves(arms, { layout: "padded" }).map((row) => row.y), [7, 6]);
});

Deno.test("groupCurves() has a panel a group, with the curves of its arms under its labels", () => {
  const arms = summarizeArms([
    makeRun({ arm: "a", family: "mixer", losses: [1, 2] }),
    makeRun({ arm: "b", losses: [3, 4] }),
    makeRun({ arm: "b", seed: 43, losses: [5, 6] }),
    makeRun({ arm: "c", losses: [7, 8] }),
  ]);
  const rows = groupCurves(arms, { first: ["b", "a"], second: ["a"] });
  const half = TOKENS_PER_STEP * STEPS / 2e6;
  const curve = (facet: string, arm: string, seed: number, losses: readonly number[]) =>
    losses.map((y, i) => ({ arm, facet, seed, x: (i + 1) * half, y }));
  assert.deepEqual(rows, [
    ...curve("first", "b", 42, [3, 4]),
    ...curve("first", "b", 43, [5, 6]),
    ...curve("first", "a", 42, [1, 2]),
    ...curve("second", "a", 42, [1, 2]),
  ]);
  assert.deepEqual(groupCurves(arms, { first: { plain: "c", other: "a" } }), [
    ...curve("first", "plain", 42, [7, 8]),
    ...curve("first", "other", 42, [1, 2]),
  ]);
  assert.throws(() => groupCurves(arms, { first: ["b", "d"] }), /no arm "d"/);
});

Deno.test("lossTable() has an arm a line, with its interval over seeds if there are several", () => {
  const arms = summarizeArms([
    makeRun({ ...PAPER_EEM, seed: 1, losses: [9, 1] }),
    makeRun({ ...PAPER_EEM, seed: 2, losses: [9, 2] }),
    makeRun({ ...PAPER_EEM, seed: 3, losses: [9, 3] }),
    makeRun(PAPER_CLM),
  ]);
  const halfWidth = (4.30265 / Math.sqrt(3)).toFixed(3); // Student's t of two degrees of freedom
  assert.deepEqual(lossTable(arms), [
    { arm: EEM, parameters: 1064, "loss (nats)": 2, "± 95 %": halfWidth },
    { arm: CLM, parameters: 1000, "loss (nats)": 2.515, "± 95 %": "" },
  ]);
});

Deno.test("valueOverSeeds() is a mean, with Student's interval if there are several", () => {
  const { value, interval } = valueOverSeeds([1, 2, 3]);
  const half = 4.30265 / Math.sqrt(3); // Student's t of two degrees of freedom
  assert.equal(value, 2);
  assertNear(interval![0], 2 - half, "low", 1e-5);
  assertNear(interval![1], 2 + half, "high", 1e-5);
  assert.deepEqual(valueOverSeeds([7]), { value: 7 });
});

Deno.test("withHalfWidth() has half of Student's interval, of one value none", () => {
  // A standard deviation of 1 over three values: 4.30265 / √3.
  assert.equal(withHalfWidth([1, 2, 3]), "2.000 ± 2.484");
  assert.equal(withHalfWidth([1, 2, 3], 1), "2.0 ± 2.5");
  assert.equal(withHalfWidth([-0.12345]), "-0.123");
  assert.equal(withHalfWidth([0.12345], 4), "0.1235");
});
