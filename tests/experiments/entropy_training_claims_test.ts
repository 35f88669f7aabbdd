import assert from "node:assert/strict";
import { validateClaims } from "../../lib/experiments/claims.ts";
import { entropyTrainingSpecs } from "../../lib/experiments/entropy_training_arms.ts";
import { entropyTrainingClaims } from "../../lib/experiments/entropy_training_claims.ts";
import { ENTROPY_TRAINING_PRESETS } from "../../lib/experiments/entropy_training_presets.ts";
import { PRESETS } from "../../lib/experiments/presets.ts";
import type { RunSpec } from "../../lib/experiments/run_spec.ts";
import { mean } from "../../lib/measure/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { trainedResults } from "./_entropy_training.ts";
import { assertVerdicts, findClaim } from "./_made_results.ts";
import { assertNear, CONTEXT } from "./_made_runs.ts";

/** What a run comes to, nats per token. */
type Run = Readonly<{
  /** Least held-out loss, and those of both sides at the end. */
  least: number;
  end: number;
  train: number;
  /** Mean of what losses are compared with. */
  meanValue: number;
}>;
type World = (family: string, arm: string, place: number) => Run;

/** Training loss of every run where its held-out loss is least. */
const TRAIN_AT_LEAST = 2.55;

function resultsIn(world: World, specs: readonly RunSpec[]) {
  return trainedResults(specs, (family, arm, place) => {
    const { least, end, train, meanValue } = world(family, arm, place);
    return { points: [[6, 7], [TRAIN_AT_LEAST, least], [train, end]], meanValue };
  });
}

/** Plain training goes straight from its least held-out loss to its end. */
function gapOnTheWay({ least, end, train }: Run, trainNats: number): number {
  const share = (TRAIN_AT_LEAST - trainNats) / (TRAIN_AT_LEAST - train);
  return least + share * (end - least) - trainNats;
}

/** A number of its own for everything; plain training comes lower than all others. */
const random: World = (family, arm, place) => {
  const own = (what: string) => createRandom(7).stream([family, arm, place, what].join()).uniform();
  const least = 2 + own("least");
  return {
    least,
    end: least + own("end"),
    train: own("train") + (arm === "plain" ? 0 : 1),
    meanValue: own("mean value"),
  };
};

/** What claims read of a world in which seeds nearly agree; all else is no number. */
const worldOf =
  (runs: Readonly<Record<string, Readonly<Record<string, Partial<Run>>>>>): World =>
  (family, arm, place) => {
    const own = 0.002 * Math.sin(arm.length * (place + 1));
    const { least = NaN, end = NaN, train = NaN, meanValue = NaN } = runs[family]?.[arm] ?? {};
    return { least: least + own, end: end + own, train: train + own, meanValue };
  };

const AS_IN_PAPER = {
  "text": {
    "plain": { least: 3.5, end: 4.2, train: 1 },
    "|CE − e|": { least: 3.3, end: 3.32, train: 2.51, meanValue: 2.5 },
    "plain, dropout": { least: 3.45, end: 4, train: 1.2 },
    "|CE − e|, dropout": { least: 3.2, end: 3.25, train: 2.6 },
  },
  "all of the text": { "plain": { end: 3 }, "weight 1 − e": { end: 3.05 } },
};

/** Plain training does not overfit, and is the better one of every comparison. */
const TURNED = {
  "text": {
    "plain": { least: 3.5, end: 3.5, train: 2 },
    "|CE − e|": { least: 3.6, end: 3.9, train: 2.2, meanValue: 2 },
    "plain, dropout": { least: 3.6, end: 3.7, train: 2 },
    "|CE − e|, dropout": { least: 3.8, end: 4, train: 2.2 },
  },
  "all of the text": { "plain": { end: 3 }, "weight 1 − e": { end: 2.95 } },
};

for (const name of PRESETS) {
  const preset = ENTROPY_TRAINING_PRESETS[name];
  const specs = entropyTrainingSpecs(preset);
  const { seeds } = preset;
  const isSingle = seeds.length === 1;
  const holds = isSingle ? "trend only" : "reproduced";
  const claimsIn = (world: World) =>
    entropyTrainingClaims(resultsIn(world, specs), preset, CONTEXT);

  Deno.test(`entropyTrainingClaims() of ${name}: what each is about, and its sign`, () => {
    const over = (value: (of: (arm: string, family?: string) => Run) => number) =>
      mean(seeds.map((_, place) => value((arm, family = "text") => random(family, arm, place))));
    const full = "all of the text";
    const [entropy, dropout] = ["|CE − e|", "|CE − e|, dropout"];
    const gapOf = ({ end, train }: Run) => end - train;
    const expected = [
      ["E24", ["plain training", "overfits"], over((of) => of("plain").end - of("plain").least)],
      ["E24", ["stops at", "mean"], over((of) => of(entropy).train - of(entropy).meanValue)],
      ["E24", ["does not overfit"], over((of) => of(entropy).end - of(entropy).least)],
      ["E24", ["generalizes", "stops in time"], over((of) => of("plain").least - of(entropy).end)],
      ["E24", ["gap at the end"], over((of) => gapOf(of("plain")) - gapOf(of(entropy)))],
      [
        "E24",
        ["smaller gap", "stops in time"],
        over((of) => of("plain").least - TRAIN_AT_LEAST - gapOf(of(entropy))),
      ],
      [
        "E24",
        ["gap at equal training loss"],
        over((of) => gapOnTheWay(of("plain"), of(entropy).train) - gapOf(of(entropy))),
      ],
      [
        "E24",
        ["dropout helps plain"],
        over((of) => of("plain").least - of("plain, dropout").least),
      ],
      ["E24", ["dropout helps |CE − e|"], over((of) => of(entropy).least - of(dropout).least)],
      [
        "E23",
        ["weights", "worse"],
        over((of) => 100 * (of("weight 1 − e", full).end / of("plain", full).end - 1)),
      ],
    ] as const;
    const rows = claimsIn(random);
    validateClaims(rows, "claims");
    assert.equal(rows.length, expected.length);
    rows.forEach((row, i) => {
      const [experiment, words, ours] = expected[i]!;
      assert.equal(row.experiment, experiment);
      for (const word of words) assert.ok(row.claim.includes(word), `${row.claim}: no "${word}"`);
      assertNear(row.ours!, ours, row.claim);
      assert.deepEqual([row.unit, row.seeds], [experiment === "E23" ? "%" : "nats/token", seeds]);
      // Paper §5.3: 1.2887 bits per byte become 1.3025.
      if (experiment === "E23") assert.equal((row.paper as number).toFixed(2), "1.07");
      else assert.equal(row.paper, null);
      assert.equal(row.interval === null, isSingle);
      const { preset: found, backend, git } = row;
      assert.deepEqual({ preset: found, backend, git }, CONTEXT);
    });
    assert.equal(new Set(rows.map(({ metric }) => metric)).size, rows.length);
  });

  Deno.test(`entropyTrainingClaims() of ${name}: what the paper says is reproduced`, () => {
    assertVerdicts(claimsIn(worldOf(AS_IN_PAPER)), holds);
  });

  Deno.test(`entropyTrainingClaims() of ${name}: the opposite is not`, () => {
    assertVerdicts(claimsIn(worldOf(TURNED)), "not reproduced");
  });

  Deno.test(`entropyTrainingClaims() of ${name}: training loss within 2 % of mean e stops there`, () => {
    const verdictAt = (meanValue: number) => {
      const text = {
        ...AS_IN_PAPER.text,
        "|CE − e|": { ...AS_IN_PAPER.text["|CE − e|"], meanValue },
      };
      const rows = claimsIn(worldOf({ ...AS_IN_PAPER, text }));
      return findClaim(rows, "E24", ["stops at the entropies"]).verdict;
    };
    for (const off of [0.015, -0.015]) assert.equal(verdictAt(2.51 * (1 + off)), holds);
    for (const off of [0.025, -0.025]) assert.equal(verdictAt(2.51 * (1 + off)), "not reproduced");
  });

  Deno.test(`entropyTrainingClaims() of ${name}: held-out loss within 2 % of its least stays there`, () => {
    for (const [above, expected] of [[0.015, holds], [0.025, "not reproduced"]] as const) {
      const entropy = { ...AS_IN_PAPER.text["|CE − e|"], least: 3.32 * (1 - above) };
      const text = { ...AS_IN_PAPER.text, "|CE − e|": entropy };
      const rows = claimsIn(worldOf({ ...AS_IN_PAPER, text }));
      assert.equal(findClaim(rows, "E24", ["does not overfit"]).verdict, expected);
    }
  });

  Deno.test(`entropyTrainingClaims() of ${name}: plain training stops where other seeds say`, () => {
    // The first seed goes on falling, from 3 to 2.9; the others rise to 4.
    const world: World = (family, arm, place) => ({
      ...random(family, arm, place),
      ...(arm === "plain" && { least: 3, end: place === 0 ? 2.9 : 4 }),
    });
    const { ours } = findClaim(claimsIn(world), "E24", ["plain training", "overfits"]);
    const expected = isSingle ? 0 : (seeds.length - 1 - 0.1) / seeds.length;
    assertNear(ours!, expected, "end − stopped");
  });

  Deno.test(`entropyTrainingClaims() of ${name}: no gap where plain training never came so low`, () => {
    const equalLoss = ({ claim }: { claim: string }) => claim.includes("equal training loss");
    const all = claimsIn(worldOf(AS_IN_PAPER));
    const text = { ...AS_IN_PAPER.text, plain: { ...AS_IN_PAPER.text.plain, train: 2.6 } };
    const rows = claimsIn(worldOf({ ...AS_IN_PAPER, text }));
    assert.deepEqual(
      rows.map(({ claim }) => claim),
      all.filter((row) => !equalLoss(row)).map(({ claim }) => claim),
    );
    assert.equal(rows.length, all.length - 1);
  });

  Deno.test(`entropyTrainingClaims() of ${name} name an arm that is missing`, () => {
    const others = resultsIn(random, specs.filter(({ arm }) => arm !== "|CE − e|, dropout"));
    assert.throws(
      () => entropyTrainingClaims(others, preset, CONTEXT),
      (error) =>
        error instanceof RangeError &&
        error.message.startsWith('no arm "|CE − e|, dropout" of text'),
    );
  });
}
