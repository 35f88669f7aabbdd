import assert from "node:assert/strict";
import { amountCurves, controlTable } from "../../lib/experiments/entropy_training_controls.ts";
import { createRandom } from "../../lib/random.ts";
import {
  firstSeed,
  type MadePoint,
  type MadeRun,
  PRESET,
  signedMean,
  SPECS,
  trainedResults,
} from "./_entropy_training.ts";
import { assertNear } from "./_made_runs.ts";

const { seeds } = PRESET;

/** Held-out losses of each run, of its own: the least one in the middle, and a higher one at the end. */
function lossesOf(family: string, arm: string, place: number) {
  const random = createRandom(9).stream([family, arm, place].join());
  const least = 2 + random.uniform();
  return { least, end: least + 0.1 + random.uniform() };
}

/** Training losses are no number: controls are of held-out text. */
const made: MadeRun = (family, arm, place) => {
  const { least, end } = lossesOf(family, arm, place);
  const points: MadePoint[] = [[NaN, 5], [NaN, least], [NaN, end]];
  return { points };
};
const RESULTS = trainedResults(SPECS, made);

/** The first arm's loss less the second one's, seed by seed. */
type Side = readonly [arm: string, of: "least" | "end"];
const differences = (family: string, [first, ofFirst]: Side, [second, ofSecond]: Side) =>
  seeds.map((_, place) =>
    lossesOf(family, first, place)[ofFirst] - lossesOf(family, second, place)[ofSecond]
  );

Deno.test("controlTable() sets arms against stopped plain training, and |CE − e| against less", () => {
  const gain = (words: string, arm: string) =>
    [words, "plain", arm, `stopped plain − ${arm}`, "least"] as const;
  const without = (words: string, arm: string) =>
    [words, arm, "|CE − e|", `${arm} − |CE − e|`, "end"] as const;
  const expected = [
    gain("paper's arm", "|CE − e|"),
    gain("dropout", "|CE − e|, dropout"),
    gain("never read", "e from the other text"),
    gain("uncertainty", "e from the other text, predictive entropy"),
    gain("read nothing else", "e from the subset"),
    gain("uncertainty", "e from the subset, predictive entropy"),
    gain("have not read", "e cross-fitted"),
    gain("one e", "e constant"),
    gain("flooding", "flooding at mean e"),
    gain("ends early", "plain, few steps"),
    gain("label smoothing", "label smoothing"),
    gain("L1", "L1 penalty"),
    gain("L2", "L2 penalty"),
    without("which token", "e shuffled"),
    without("pushed back up", "max(CE, e)"),
    without("factor 2.5", "|CE − e|, scale 1"),
    without("start alike", "e of another seed's teacher"),
    without("uncertainty", "e predictive entropy"),
  ];
  for (const count of [seeds.length, 1]) {
    const table = controlTable(count === 1 ? firstSeed(RESULTS) : RESULTS);
    assert.equal(table.length, expected.length);
    table.forEach(({ question, ...row }, i) => {
      const [words, first, second, difference, ofFirst] = expected[i]!;
      assert.ok((question as string).includes(words), `${question}: no "${words}"`);
      const between = (...sides: ["least" | "end", "least" | "end"]) =>
        signedMean(
          differences("text", [first, sides[0]], [second, sides[1]]).slice(0, count),
        );
      assert.deepEqual(row, {
        difference,
        "at the end": between(ofFirst, "end"),
        "both stopped in time": between("least", "least"),
      });
      // Of one seed no interval, of several one: +0.241 ± 0.058.
      const shape = count === 1 ? /^[+−]\d\.\d{3}$/ : /^[+−]\d\.\d{3} ± \d\.\d{3}$/;
      assert.match(row["at the end"] as string, shape);
    });
  }
});

Deno.test("controlTable() names an arm that is missing", () => {
  const others = RESULTS.filter(({ config }) => config.spec.arm !== "e cross-fitted");
  assert.throws(() => controlTable(others), /^RangeError: no arm "e cross-fitted" of text/);
});

Deno.test("amountCurves() are gains on stopped plain training of the same amount, seed by seed", () => {
  const { trainWindows } = PRESET.amounts;
  const expected = trainWindows.flatMap((x) =>
    ["e exact entropy", "e constant"].flatMap((arm) =>
      ([["at the end", "end"], ["both stopped in time", "least"]] as const).flatMap(
        ([facet, of]) => {
          const gains = differences(`known source, ${x} sequences`, ["plain", "least"], [arm, of]);
          return gains.map((y, place) => ({ arm, facet, seed: seeds[place]!, x, y }));
        },
      )
    )
  );
  const curves = amountCurves(RESULTS, PRESET);
  assert.equal(curves.length, 2 * 2 * seeds.length * trainWindows.length);
  curves.forEach(({ y, ...row }, i) => {
    const { y: gain, ...rest } = expected[i]!;
    assert.deepEqual(row, rest);
    assertNear(y, gain, `${row.arm}, ${row.facet}, ${row.x}, seed ${row.seed}`);
  });
  const more = { ...PRESET, amounts: { ...PRESET.amounts, trainWindows: [7] } };
  assert.throws(
    () => amountCurves(RESULTS, more),
    /^RangeError: no arm "plain" of known source, 7 sequences/,
  );
});
