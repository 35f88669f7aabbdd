import assert from "node:assert/strict";
import { CLM, REFERENCE_START, ZEROS } from "../../lib/experiments/baseline_arms.ts";
import { summarizeArms } from "../../lib/experiments/arm_summary.ts";
import {
  armTable,
  embeddingTable,
  fullWindowLosses,
  hasPadding,
  leadAt,
  leadsAndPrices,
  paddedTable,
} from "../../lib/experiments/baseline_summary.ts";
import {
  allArms,
  assertNear,
  EEM,
  type Made,
  makeRun,
  oneArm,
  paddedArms,
  PAPER_CLM,
  PAPER_EEM,
  PRICE4,
  PRICE8,
  SEEDS,
  STEPS,
  TOKENS_PER_STEP,
} from "./_made_runs.ts";

Deno.test("fullWindowLosses() are what was measured, all losses where nothing is padded", () => {
  assert.deepEqual(fullWindowLosses(oneArm({ ...PAPER_EEM, layout: "padded", full: 2.3 })), [2.3]);
  assert.deepEqual(fullWindowLosses(oneArm({ ...PAPER_EEM, full: 9 })), [2.1566], "all are full");
  assert.throws(
    () => fullWindowLosses(oneArm({ ...PAPER_EEM, layout: "padded" })),
    (error) => error instanceof RangeError && /over full windows$/.test(error.message),
  );
});

Deno.test("hasPadding() says whether held-out windows have pads", () => {
  assert.equal(hasPadding(oneArm(PAPER_CLM)), true);
  assert.equal(hasPadding(oneArm({ ...PAPER_CLM, meanRealTokens: 1024 })), false);
});

Deno.test("leadAt() is the lead at the evaluation nearest to a share of the run, seed by seed", () => {
  const withEvaluation = (made: Made, step: number, lossNats: number) => {
    const run = makeRun(made);
    const tokens = step * TOKENS_PER_STEP;
    const extra = { type: "evaluation", step, tokens, lossNats, scoredTokens: 1 } as const;
    return { ...run, records: [extra, ...run.records] };
  };
  const clm = { arm: CLM, losses: [4, 3] } as const;
  const eem = { arm: EEM, numbers: 64, losses: [3.5, 2] } as const;
  const [a, b] = summarizeArms([
    ...SEEDS.slice(0, 2).map((seed) => withEvaluation({ ...clm, seed }, STEPS / 5, 5 + seed)),
    ...SEEDS.slice(0, 2).map((seed) => withEvaluation({ ...eem, seed }, STEPS / 5, 4 + 2 * seed)),
  ]);
  assert.deepEqual(leadAt(a!, b!, 1), [1, 1]);
  assert.deepEqual(leadAt(a!, b!, 0.5), [0.5, 0.5]);
  assert.deepEqual(leadAt(a!, b!, 0.4), [0.5, 0.5]);
  assert.deepEqual(leadAt(a!, b!, 0.3), [1 - SEEDS[0]!, 1 - SEEDS[1]!]);
  assert.deepEqual(leadAt(a!, b!, 0), [1 - SEEDS[0]!, 1 - SEEDS[1]!]);
});

Deno.test("leadsAndPrices() sets the rounded lead, unpaid, against the price", () => {
  const clmLosses = [3, 3.2, 3.1], eemLosses = [2.5, 2.8, 2.6];
  const runs = SEEDS.flatMap((seed, i) => [
    makeRun({ arm: CLM, seed, losses: [4, clmLosses[i]!] }),
    makeRun({ arm: ZEROS, seed, losses: [4, clmLosses[i]! + 0.1] }),
    makeRun({
      ...PAPER_EEM,
      seed,
      losses: [4, eemLosses[i]!],
      rounded: { 4: eemLosses[i]! + 0.2, 8: eemLosses[i]! },
    }),
    makeRun({ ...PAPER_EEM, arm: REFERENCE_START, seed }),
    makeRun({ arm: CLM, layout: "padded", seed, losses: [1, 1] }),
    makeRun({ ...PAPER_EEM, layout: "padded", seed }),
  ]);
  const rows = leadsAndPrices(summarizeArms(runs));
  assert.deepEqual(rows.map((row) => [row.arm, row.family, row.label]), [
    [ZEROS, "transformer", ZEROS],
    [EEM, "transformer", "4 bits"],
    [EEM, "transformer", "8 bits"],
  ]);
  const [zeros, four, eight] = rows;
  assertNear(zeros!.leadNats, -0.1, "zeros");
  assert.equal(zeros!.priceNats, 0);
  assertNear(four!.leadNats, (0.3 + 0.2 + 0.3) / 3, "4 bits");
  assertNear(eight!.leadNats, (0.5 + 0.4 + 0.5) / 3, "8 bits");
  assertNear(four!.priceNats, 64 * 4 * Math.LN2 / 1024, "price at 4 bits");
  assertNear(eight!.priceNats, 64 * 8 * Math.LN2 / 1024, "price at 8 bits");
  // Student's t for two degrees of freedom is 4.30265; the leads' deviation is 0.1 / √3.
  const halfWidth = 4.30265 * (0.1 / Math.sqrt(3)) / Math.sqrt(3);
  assertNear(four!.high - four!.leadNats, halfWidth, "upper end", 1e-5);
  assertNear(four!.leadNats - four!.low, halfWidth, "lower end", 1e-5);

  const single = leadsAndPrices(summarizeArms([makeRun(PAPER_CLM), makeRun(PAPER_EEM)]))[0]!;
  assert.deepEqual([single.low, single.high], [single.leadNats, single.leadNats]);
});

Deno.test("the tables have a row per arm, and what it cost", () => {
  const runs = SEEDS.slice(0, 2).flatMap((seed) => [...allArms(seed), ...paddedArms(seed)]);
  const arms = summarizeArms(runs);
  const table = armTable(arms);
  assert.equal(table.length, 11);
  const row = table.find((row) => row.family === "mixer" && row.arm === EEM)!;
  assertNear(row["loss (nats)"] as number, 3.4, "loss");
  assertNear(row["paid, 4 bits"] as number, 3.7 + PRICE4, "paid");
  assertNear(row["BPB, raw"] as number, 3.4 / Math.LN2 / 3.92, "bits per byte");
  assertNear(row["BPB, paid 8 bits"] as number, (3.55 + PRICE8) / Math.LN2 / 3.92, "paid BPB");
  assert.equal(row["± 95 %"], "0.000");
  assert.equal(armTable(summarizeArms(allArms(1)))[0]!["± 95 %"], "");

  const embeddings = embeddingTable(arms);
  assert.deepEqual(embeddings.map((row) => [row.family, row.arm]), [
    ["mixer", EEM],
    ["transformer", EEM],
    ["transformer", REFERENCE_START],
  ]);
  assertNear(embeddings[0]!["2 bits: loss by rounding"] as number, 0.6, "2 bits");
  assertNear(embeddings[0]!["3 bits: loss by rounding"] as number, 0.5, "3 bits");
  assertNear(embeddings[0]!["4 bits: loss by rounding"] as number, 0.3, "4 bits");
  assertNear(embeddings[0]!["8 bits: loss by rounding"] as number, 0.15, "8 bits");
  assertNear(embeddings[0]!["a neighbour's: loss"] as number, 1.3, "foreign");

  const padded = paddedTable(arms);
  assert.deepEqual(padded.map((row) => row.arm), [CLM, EEM]);
  assertNear(padded[1]!["paid 8 bits, over real tokens"] as number, 2.7 + 2 * PRICE8, "real");
  assertNear(padded[1]!["loss, full windows"] as number, 2.9, "full");
  assert.deepEqual(paddedTable([]), [{ arm: "this preset trains no padded arms" }]);
});
