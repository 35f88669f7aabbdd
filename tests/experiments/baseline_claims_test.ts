import assert from "node:assert/strict";
import { eemArm } from "../../lib/experiments/baseline_arms.ts";
import { baselineClaims, baselineControls } from "../../lib/experiments/baseline_claims.ts";
import { type ClaimRow, validateClaims } from "../../lib/experiments/claims.ts";
import type { RunResult } from "../../lib/experiments/run.ts";
import type { Verdict } from "../../lib/measure/mod.ts";
import {
  allArms,
  assertNear,
  CONTEXT,
  makeRun,
  paddedArms,
  PRICE4,
  PRICE8,
  SEEDS,
} from "./_made_runs.ts";

type Expected = readonly [
  title: RegExp,
  paper: ClaimRow["paper"],
  ours: number,
  /** The sign that the paper gives the difference; 0 where this scale cannot say. */
  sign: 1 | -1 | 0,
];

/** What every claim should find: the paper's number, and ours for the losses of the made-up runs. */
const PACKED: readonly Expected[] = [
  [/^E17 mixer, packed: the raw loss of the EEM is below/, null, 0.6, 1],
  [/^E14 mixer: CLM − EEM grows/, "grows", 0.6 - 0.2, 1],
  [/^E17 mixer, packed: priced at 4 bits the EEM is behind/, null, 0.6 - PRICE4, -1],
  [/^E17 mixer, packed: priced at 8 bits the EEM is behind/, null, 0.6 - PRICE8, -1],
  [/^E17 transformer, packed: the raw loss of the EEM is below/, 0.107, 0.5, 1],
  [/^E14 transformer: CLM − EEM grows/, "grows", 0.5 - 0.1, 1],
  [/^E17 transformer, packed: priced at 4 bits the EEM is behind/, -0.066, 0.5 - PRICE4, -1],
  [/^E17 transformer, packed: priced at 8 bits the EEM is behind/, -0.24, 0.5 - PRICE8, -1],
  [/^E14 late in training .* lead of the mixer EEM is larger/, "larger", 0.1, 0],
  [/^E15 transformer, after long training .* 4 bits the EEM is ahead/, 0.185, 0.5 - PRICE4, 0],
];
const PADDED: readonly Expected[] = [
  [/^E17 transformer, padded, all samples: the raw loss .* below/, 0.201, 0.8, 1],
  [/^E17 transformer, padded, full samples only/, 0.11, 0.7, 1],
  [/^E17 transformer, padded: the lead over all samples is larger/, 0.091, 0.1, 1],
  [/^E17 transformer, padded: priced at 4 bits over N .* ahead/, 0.028, 0.8 - PRICE4, 1],
];
const EXPECTED = [...PACKED, ...PADDED];

function titleOf({ experiment, claim }: ClaimRow): string {
  return `${experiment} ${claim}`;
}

Deno.test("baselineClaims() takes every difference the way the claim says it", () => {
  const rows = baselineClaims([...allArms(42), ...paddedArms(42)], CONTEXT);
  assert.equal(rows.length, EXPECTED.length);
  rows.forEach((row, i) => {
    const [title, paper, ours, sign] = EXPECTED[i]!;
    assert.match(titleOf(row), title);
    assert.equal(row.paper, paper, titleOf(row));
    assertNear(row.ours!, ours, titleOf(row));
    // One seed has no interval, and without one a claim is a trend at most.
    assert.equal(row.interval, null);
    const verdict = sign * ours > 0 ? "trend only" : "not reproduced";
    assert.equal(row.verdict, sign === 0 ? "not comparable" : verdict, titleOf(row));
    assert.deepEqual(row.seeds, [42]);
    assert.deepEqual([row.preset, row.backend, row.git], ["small", "cpu", "abc"]);
  });
  validateClaims(rows, "rows");
});

Deno.test("baselineClaims() of a preset without padded arms has no claim about them", () => {
  const rows = baselineClaims(allArms(42), CONTEXT);
  const all = baselineClaims([...allArms(42), ...paddedArms(42)], CONTEXT);
  assert.deepEqual(rows, all.slice(0, PACKED.length));
});

Deno.test("baselineClaims() compares padded arms only where there are pads", () => {
  const full = paddedArms(42).map((run): RunResult => {
    const facts = { ...run.config.facts, meanRealTokens: run.config.spec.data.contextLength };
    return { ...run, config: { ...run.config, facts } };
  });
  const rows = baselineClaims([...allArms(42), ...full], CONTEXT).slice(PACKED.length);
  assert.deepEqual(rows.map((row) => row.verdict), PADDED.map(() => "not comparable"));
});

Deno.test("baselineClaims() judges by the interval over seeds", () => {
  const seedsOf = (shifts: readonly number[]) =>
    baselineClaims(
      SEEDS.flatMap((seed, i) => [...allArms(seed, shifts[i]), ...paddedArms(seed, shifts[i])]),
      CONTEXT,
    );
  const verdictOf = (rows: readonly ClaimRow[], title: RegExp): Verdict => {
    const row = rows.find((row) => title.test(titleOf(row)));
    return row?.verdict ?? assert.fail(`no claim ${title}`);
  };
  // Seeds that differ little: what is ahead is so beyond the interval, and what is behind as well.
  const clear = seedsOf([-0.001, 0, 0.001]);
  EXPECTED.forEach(([title, , ours, sign], i) => {
    const { verdict, interval, seeds } = clear[i]!;
    const judged = sign * ours > 0 ? "reproduced" : "not reproduced";
    assert.equal(verdict, sign === 0 ? "not comparable" : judged, `${title}`);
    assert.ok(interval![0] <= ours + 1e-9 && ours - 1e-9 <= interval![1], `${title}`);
    assert.deepEqual(seeds, SEEDS);
  });
  const [low, high] = clear[0]!.interval!;
  assertNear((high - low) / 2, 4.30265 * 0.001 / Math.sqrt(3), "half width", 1e-7);

  // The means of before, but seeds that disagree.
  const noisy = seedsOf([-0.5, 0, 0.5]);
  assert.equal(verdictOf(noisy, /mixer, packed: the raw loss/), "trend only");
  const between = noisy.find((row) => /mixer EEM is larger/.test(row.claim))!;
  assertNear(
    between.interval![1] - between.interval![0],
    0,
    "shifts cancel between families",
    1e-9,
  );
  assert.equal(verdictOf(noisy, /mixer EEM is larger/), "not comparable");
  // The EEM behind in all ways: as the paper has it once the embedding is paid for.
  const behind = seedsOf([1, 1.001, 0.999]);
  assert.equal(verdictOf(behind, /mixer, packed: the raw loss/), "not reproduced");
  for (const title of [/mixer, packed: priced at 4/, /transformer, packed: priced at 8/]) {
    assert.equal(verdictOf(behind, title), "reproduced", `${title}`);
  }
});

/** The runs of `allArms`, and of a second, smaller embedding. */
function withSingleNumber(seed: number, shift = 0): RunResult[] {
  const single = [["mixer", 4], ["transformer", 3]] as const;
  return [
    ...allArms(seed, shift),
    ...single.map(([family, base]) =>
      makeRun({
        family,
        seed,
        arm: eemArm(1),
        losses: [9, 9],
        numbers: 1,
        rounded: { 4: base - 0.1 + shift, 8: 8 },
        foreign: 9,
      })
    ),
  ];
}

Deno.test("baselineClaims() are about the first embedding size", () => {
  assert.deepEqual(
    baselineClaims(withSingleNumber(42), CONTEXT),
    baselineClaims(allArms(42), CONTEXT),
  );
});

const PRICE_OF_ONE = 4 * Math.LN2 / 1024;

/** Every control, and the difference that the made-up runs give it. */
const CONTROLS: readonly (readonly [statement: RegExp, difference: number])[] = [
  [/^mixer: EEM, 64 numbers: better than the twin with a slot of zeros$/, 0.61],
  [/^mixer: EEM, 64 numbers: a neighbour's embedding is worse/, 0.7 + 0.6],
  [/^mixer: EEM, 64 numbers: raw, better than a CLM of its parameter count$/, 0.55],
  [/^mixer: EEM, 64 numbers: ahead .* rounded to 4 bits and paid for$/, 0.3 - PRICE4],
  [/^mixer: EEM, 1 number: ahead .* rounded to 4 bits and paid for$/, 0.1 - PRICE_OF_ONE],
  [/^transformer: EEM, 64 numbers: better than the twin with a slot of zeros$/, 0.51],
  [/^transformer: EEM, 64 numbers: a neighbour's embedding is worse/, 0.7 + 0.5],
  [/^transformer: EEM, 64 numbers: raw, better than a CLM of its parameter count$/, 0.45],
  [/^transformer: EEM, 64 numbers: ahead .* rounded to 4 bits and paid for$/, 0.3 - PRICE4],
  [/^transformer: EEM, 1 number: ahead .* rounded to 4 bits and paid for$/, 0.1 - PRICE_OF_ONE],
  [/^transformer: EEM, 64 numbers: better than with the reference's initialization$/, 0.3],
];

Deno.test("baselineControls() takes every difference the way the control says it", () => {
  const rows = baselineControls(withSingleNumber(42));
  assert.equal(rows.length, CONTROLS.length);
  rows.forEach((row, i) => {
    const [statement, difference] = CONTROLS[i]!;
    assert.match(row.control, statement);
    assertNear(row["nats/token"], difference, row.control);
    assert.equal(row["95 % interval"], "–");
    assert.equal(row.outcome, "undecided", "one seed decides nothing");
  });
});

Deno.test("baselineControls() hold or fail by the interval over seeds", () => {
  const controlsOf = (shifts: readonly number[]) =>
    baselineControls(SEEDS.flatMap((seed, i) => withSingleNumber(seed, shifts[i])));
  const outcomes = (shifts: readonly number[]) => controlsOf(shifts).map((row) => row.outcome);
  assert.deepEqual(outcomes([-0.001, 0, 0.001]), CONTROLS.map(() => "holds"));

  const [first] = controlsOf([-0.001, 0, 0.001]);
  // 0.61 with Student's half width of three seeds that differ by 0.001.
  assert.equal(first!["95 % interval"], "0.6075 … 0.6125");

  const noisy = outcomes([-1, 0, 1]);
  assert.deepEqual(noisy, CONTROLS.map(() => "undecided"));

  // What compares the EEM with other arms fails when it is far behind them.
  const behind = outcomes([1, 1.001, 0.999]);
  CONTROLS.forEach(([statement], i) => {
    const isOfItsOwnArm = /neighbour|reference/.test(statement.source);
    assert.equal(behind[i], isOfItsOwnArm ? "holds" : "does not hold", `${statement}`);
  });
});
