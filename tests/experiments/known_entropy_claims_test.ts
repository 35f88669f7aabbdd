import assert from "node:assert/strict";
import { validateClaims } from "../../lib/experiments/claims.ts";
import {
  KNOWN_ENTROPY_PRESETS,
  type KnownEntropyPreset,
} from "../../lib/experiments/entropy_presets.ts";
import { knownEntropySpecs } from "../../lib/experiments/known_entropy_arms.ts";
import { knownEntropyClaims } from "../../lib/experiments/known_entropy_claims.ts";
import { type AccuracyRow, isSized } from "../../lib/experiments/known_entropy_summary.ts";
import { PRESETS } from "../../lib/experiments/presets.ts";
import { mean } from "../../lib/measure/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { madeAccuracies, type MadeAccuracy, withSourceEntropy } from "./_made_estimates.ts";
import { assertVerdicts, findClaim, type Made, makeResults } from "./_made_results.ts";
import { assertNear, CONTEXT } from "./_made_runs.ts";

/** What a world says of each source; the place of a seed among the seeds counts from 0. */
type World = Readonly<{
  rank: (estimator: string, source: string, place: number) => number | null;
  /** Of exact surprisal. */
  control: (estimator: string, source: string, place: number) => number | null;
  bias: (source: string, place: number) => number;
  /** The pair's loss with its embedding rounded to 4 bits, and the exact surprisal. */
  rounded: (source: string, place: number) => number;
  surprisal: (source: string) => number;
}>;

const IN_CLAIMS = ["pad-shift", "two-window", "occlusion-l1"];

for (const name of PRESETS) {
  const preset: KnownEntropyPreset = KNOWN_ENTROPY_PRESETS[name];
  const specs = knownEntropySpecs(preset);
  const sources = Object.keys(preset.sources);
  const { seeds, trainingSteps, embeddingSize, contextLength } = preset;
  const longest = trainingSteps.at(-1)!;
  const isSingle = seeds.length === 1;
  const holds = isSingle ? "trend only" : "reproduced";

  /** What no claim may read is not a number. */
  const accuraciesIn = ({ rank, control, bias }: World): AccuracyRow[] => {
    const made: MadeAccuracy = (key) => {
      const { source, estimator, seed, truth, steps } = key;
      if (seed === null || steps !== longest || isSized(key, preset)) return {};
      const place = seeds.indexOf(seed);
      if (truth === "surprisal") {
        return estimator === "pad-shift" ? { bias: bias(source, place) } : {};
      }
      if (!IN_CLAIMS.includes(estimator)) return {};
      return {
        rankCorrelation: rank(estimator, source, place),
        ...(estimator !== "occlusion-l1" &&
          { surprisalCorrelation: control(estimator, source, place) }),
      };
    };
    return madeAccuracies(specs, made);
  };
  const resultsIn = ({ rounded, surprisal }: World) =>
    sources.flatMap((source) => {
      const pairs: Made = (arm, quantity, place) =>
        quantity === "4 bits" && arm.startsWith("EEM of N and N − 1")
          ? rounded(source, place)
          : NaN;
      const results = makeResults(specs.filter(({ family }) => family === source), pairs);
      const known = { entropyNats: NaN, surprisalNats: surprisal(source) };
      return withSourceEntropy(results, () => known);
    });
  const claimsIn = (world: World) =>
    knownEntropyClaims(resultsIn(world), accuraciesIn(world), preset, CONTEXT);

  const draw = (label: string) => createRandom(7).stream(label).uniform();
  const random: World = {
    // Sources whose tokens are all equally uncertain have no ranks.
    rank: (...of) => of[1] === "i.i.d." ? null : draw(["rank", ...of].join()),
    control: (...of) => of[1] === "i.i.d." ? null : draw(["control", ...of].join()),
    bias: (...of) => draw(["bias", ...of].join()),
    rounded: (...of) => draw(["rounded", ...of].join()),
    surprisal: (source) => draw(`surprisal ${source}`),
  };

  Deno.test(`knownEntropyClaims() of ${name}: means over the sources of what each is about`, () => {
    const ranked = sources.filter((source) => source !== "i.i.d.");
    const places = seeds.keys().toArray();
    const overSources = (value: (source: string, place: number) => number, all = sources) =>
      mean(places.map((place) => mean(all.map((source) => value(source, place)))));
    const gain = (estimator: string) =>
      overSources((source, place) => {
        const of = [estimator, source, place] as const;
        return random.rank(...of)! - random.control(...of)!;
      }, ranked);
    const price = embeddingSize * 4 * Math.log(2) / contextLength;
    const expected = [
      ["§4.3", ["pad-shift", "follow"], gain("pad-shift")],
      ["§4.2", ["two-window", "follow"], gain("two-window")],
      ["§4.3", ["pad-shift", "below the surprisal"], overSources(random.bias)],
      [
        "§4.1",
        ["bounds", "from above"],
        overSources((source, place) =>
          random.rounded(source, place) + price - random.surprisal(source)
        ),
      ],
      [
        "§4.4",
        ["occlusion", "not follow"],
        overSources((...of) => Math.abs(random.rank("occlusion-l1", ...of)!), ranked),
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
      assert.equal(row.paper, null);
      assert.deepEqual(row.seeds, seeds);
      assert.equal(row.interval === null, isSingle);
      const { preset: found, backend, git } = row;
      assert.deepEqual({ preset: found, backend, git }, CONTEXT);
    });
  });

  /** Seeds nearly agree. */
  const near = (value: number, place: number) => value + 0.001 * place;
  const price = embeddingSize * 4 * Math.log(2) / contextLength;
  const asInPaper: World = {
    rank: (estimator, source, place) =>
      // Correlations on both sides of 0 that are small.
      estimator === "occlusion-l1"
        ? near(sources.indexOf(source) % 2 === 0 ? 0.05 : -0.05, place)
        : near(0.8, place),
    control: () => 0.4,
    bias: (_, place) => near(-0.2, place),
    rounded: (source, place) => near(random.surprisal(source) - price + 0.1, place),
    surprisal: random.surprisal,
  };
  const turned: World = {
    ...asInPaper,
    // Large ones whose mean is 0.
    rank: (estimator, source, place) =>
      estimator === "occlusion-l1"
        ? near(sources.indexOf(source) % 2 === 0 ? 0.3 : -0.3, place)
        : near(0.2, place),
    bias: (_, place) => near(0.2, place),
    rounded: (source, place) => near(random.surprisal(source) - price - 0.1, place),
  };

  Deno.test(`knownEntropyClaims() of ${name}: what the paper says is reproduced`, () => {
    assertVerdicts(claimsIn(asInPaper), holds);
  });

  Deno.test(`knownEntropyClaims() of ${name}: the opposite is not`, () => {
    assertVerdicts(claimsIn(turned), "not reproduced");
  });

  Deno.test(`knownEntropyClaims() of ${name}, §4.4: what counts as no correlation`, () => {
    const verdictAt = (size: number) => {
      const rank: World["rank"] = (estimator, source, place) =>
        estimator === "occlusion-l1" ? near(size, place) : asInPaper.rank(estimator, source, place);
      return findClaim(claimsIn({ ...asInPaper, rank }), "§4.4", ["occlusion"]).verdict;
    };
    assert.equal(verdictAt(0.09), holds);
    assert.equal(verdictAt(-0.09), holds);
    assert.equal(verdictAt(0.12), "not reproduced");
    assert.equal(verdictAt(-0.12), "not reproduced");
  });

  Deno.test(`knownEntropyClaims() of ${name} name an arm that is missing`, () => {
    const pair = `EEM of N and N − 1 tokens, ${longest} steps`;
    const [, source] = sources;
    const others = resultsIn(asInPaper).filter(({ config: { spec } }) =>
      spec.family !== source || spec.arm !== pair
    );
    assert.throws(
      () => knownEntropyClaims(others, accuraciesIn(asInPaper), preset, CONTEXT),
      new RangeError(`no arm "${pair}" of ${source}, packed`),
    );
  });
}
