import assert from "node:assert/strict";
import { summarizeArms } from "../../lib/experiments/arm_summary.ts";
import { autoencoderArm } from "../../lib/experiments/autoencoder_arms.ts";
import { handoverArm as names, handoverSpecs } from "../../lib/experiments/handover_arms.ts";
import {
  frozenCurve,
  handoverClaims,
  latentCurves,
  scanCurves,
  speedTable,
} from "../../lib/experiments/handover_claims.ts";
import { HANDOVER_PRESETS, PRESETS } from "../../lib/experiments/presets.ts";
import type { RunSpec } from "../../lib/experiments/run_spec.ts";
import { assertNear, CONTEXT, makeRun } from "./_made_runs.ts";
import {
  assertEffects,
  assertVerdicts,
  type Made,
  makeResults,
  type PaperClaim,
  type Quantity,
  type Reader,
  withSeeds,
} from "./_made_results.ts";

/** Bits a number to which embeddings are rounded. */
const ROUNDED = [2, 3, 4, 8] as const;

for (const name of PRESETS) {
  const preset = HANDOVER_PRESETS[name];
  const { joins, frozen, scan, latent } = preset;
  const specs = handoverSpecs(preset);
  const arms = [...new Set(specs.map(({ arm }) => arm))];

  const clm = { mixer: names.clm("mixer"), transformer: names.clm("transformer") };
  const flat = {
    token: names.join("mixer", "mixer", "token"),
    embedding: names.join("mixer", "mixer", "embedding"),
    linear: names.join("mixer", "mixer", "linear"),
  };
  const mixed = {
    token: names.join("mixer", "transformer", "token"),
    embedding: names.join("mixer", "transformer", "embedding"),
    linear: names.join("mixer", "transformer", "linear"),
  };
  const matched = names.join("transformer", "transformer", "token");
  const heads = names.encoderHeads(joins.mixingHeads);

  const [, base] = frozen.widths;
  const sources = {
    worst: autoencoderArm.plain("mixer", base),
    middle: autoencoderArm.kernel(8, base, "repeat"),
    best: autoencoderArm.kernel(16, base, "repeat"),
  };
  const frozenClm = names.frozen(autoencoderArm.causal("mixer"));

  const [, whole] = scan.widths;
  const largest = Math.max(...scan.embeddingSizes);
  const most = Math.max(...latent.embeddingSizes);
  /** Bits of a sequence from nats a scored token: two tokens of each of eight symbols. */
  const sequenceBits = (nats: number) => 16 * nats / Math.log(2);
  const latentArms = new Set(
    latent.latentBits.flatMap((bits) =>
      [0, ...latent.embeddingSizes].map((size) => names.latent(bits, size))
    ),
  );

  const lower = (better: string, worse: string) => (of: Reader) => of(worse) - of(better);
  const price = joins.embeddingSize * 4 * Math.log(2) / joins.data.contextLength;
  const spread = (all: Readonly<Record<string, string>>) => (of: Reader) => {
    const losses = Object.values(all).map((arm) => of(arm));
    return Math.max(...losses) - Math.min(...losses);
  };
  const startsAbove = (eem: string, clm: string) => (of: Reader) =>
    of(eem, "third") + price - of(clm, "third");

  /** Paper §9 E12, E13, E16, §2.7, and what it says of large embeddings and of the entropy. */
  const PAPER: readonly PaperClaim[] = [
    { experiment: "E12a", words: ["mixer", "close"], effect: spread(flat), kind: "close" },
    {
      experiment: "E12a",
      words: ["mixer", "embedding", "token"],
      effect: lower(flat.embedding, flat.token),
    },
    {
      experiment: "E12a",
      words: ["mixer", "embedding", "linear"],
      effect: lower(flat.embedding, flat.linear),
    },
    { experiment: "E12b", words: ["transformer", "close"], effect: spread(mixed), kind: "close" },
    {
      experiment: "E12b",
      words: ["transformer", "token", "embedding"],
      effect: lower(mixed.token, mixed.embedding),
    },
    {
      experiment: "E12b",
      words: ["transformer", "token", "linear"],
      effect: lower(mixed.token, mixed.linear),
    },
    {
      experiment: "E13",
      words: ["mixer", "4 bits", "starts above"],
      effect: startsAbove(flat.embedding, clm.mixer),
    },
    {
      experiment: "E13",
      words: ["transformer", "4 bits", "starts above"],
      effect: startsAbove(names.likeCausal, clm.transformer),
    },
    {
      experiment: "E13",
      words: ["transformer", "mixer"],
      effect: lower(matched, mixed.embedding),
    },
    {
      experiment: "E13",
      words: ["mixer", "transformer", "gains more"],
      effect: (of) =>
        (of(clm.mixer) - of(flat.embedding)) - (of(clm.transformer) - of(names.likeCausal)),
    },
    {
      experiment: "E16",
      words: ["embedding join", "heads", `${joins.mixingHeads}`],
      effect: lower(flat.embedding, heads),
    },
    {
      experiment: "E16",
      words: ["embedding join", "kernel 4", "no gain"],
      effect: lower(names.encoderKernel(4, "embedding"), flat.embedding),
      kind: "close",
    },
    {
      experiment: "E16",
      words: ["token join", "kernel 4", "gain"],
      effect: lower(names.encoderKernel(4, "token"), flat.token),
    },
    ...([["worst", "middle"], ["middle", "best"]] as const).map(([worse, better]): PaperClaim => ({
      experiment: "§2.7",
      words: ["frozen", sources[worse], sources[better]],
      effect: lower(names.frozen(sources[better]), names.frozen(sources[worse])),
    })),
    {
      experiment: "§2.7",
      words: ["frozen", "causal model"],
      effect: lower(names.frozen(sources.worst), frozenClm),
    },
    {
      experiment: "§2.7",
      words: ["frozen", "no encoder"],
      effect: lower(names.frozen(sources.worst), names.noEncoder),
    },
    ...[sources.worst, sources.best].map((source): PaperClaim => ({
      experiment: "§2.7",
      words: ["trained", "frozen", source],
      effect: lower(names.trained(source), names.frozen(source)),
    })),
    {
      experiment: "§2.7",
      words: ["twice", "depth"],
      effect: lower(names.deeper, names.frozen(sources.best)),
      kind: "close",
    },
    {
      experiment: "§2.6",
      words: [`${whole} numbers`, `${largest} numbers`],
      effect: lower(names.scanned(whole), names.scanned(largest)),
    },
    ...latent.latentBits.flatMap((bits): PaperClaim[] => [
      {
        experiment: "§4.1",
        words: [`${bits} latent bits`, `${most} numbers`],
        effect: (of) => 0.5 - sequenceBits(of(names.latent(bits, most))),
      },
      {
        experiment: "§8",
        words: [`${bits} latent bits`],
        effect: (of) =>
          Math.min(
            ...latent.embeddingSizes.flatMap((size) =>
              ROUNDED.map((each) =>
                each * size + sequenceBits(of(names.latent(bits, size), `${each} bits`))
              )
            ),
          ) - bits,
      },
    ]),
  ];

  /** Losses in the paper's orders. */
  const LOSSES: Readonly<Record<string, number>> = {
    [clm.mixer]: 2.7,
    [clm.transformer]: 2.515,
    [flat.token]: 2.42,
    [flat.embedding]: 2.4,
    [flat.linear]: 2.43,
    [mixed.token]: 2.4,
    [mixed.embedding]: 2.41,
    [mixed.linear]: 2.43,
    [matched]: 2.379,
    [names.likeCausal]: 2.379,
    [heads]: 2.45,
    [names.encoderKernel(4, "embedding")]: 2.41,
    [names.encoderKernel(4, "token")]: 2.35,
    [names.frozen(sources.worst)]: 2.5,
    [names.frozen(sources.middle)]: 2.3,
    [names.frozen(sources.best)]: 2.2,
    [frozenClm]: 2.8,
    [names.noEncoder]: 2.9,
    [names.trained(sources.worst)]: 1.9,
    [names.trained(sources.best)]: 1.8,
    [names.deeper]: 2.19,
    [names.scanned(largest)]: 0.4,
    [names.scanned(whole)]: 0.15,
  };
  /** Losses of raw leads that are worth less than the price yet. */
  const EARLY: Readonly<Record<string, number>> = {
    [clm.mixer]: 4,
    [flat.embedding]: 3.9,
    [clm.transformer]: 3.5,
    [names.likeCausal]: 3.4,
  };
  const latentNats = (arm: string, quantity: Quantity, restBits: {
    end: number;
    rounded: (latentBits: number, paid: number) => number;
  }) => {
    const [bits, size] = arm.match(/\d+/g)!.map(Number);
    const rest = quantity === "end"
      ? restBits.end
      : restBits.rounded(bits!, size! * Number.parseInt(quantity));
    return rest * Math.log(2) / 16;
  };
  const asInPaper = (arm: string, quantity: Quantity): number => {
    if (latentArms.has(arm)) {
      // A bit that is paid for saves four fifths of one.
      return latentNats(arm, quantity, {
        end: 0.1,
        rounded: (bits, paid) => Math.max(0.2, bits - 0.8 * paid),
      });
    }
    return (quantity === "third" ? EARLY[arm] : LOSSES[arm]) ?? 7;
  };
  const turned = (arm: string, quantity: Quantity): number => {
    if (latentArms.has(arm)) return latentNats(arm, quantity, { end: 5, rounded: () => 0.1 });
    if (quantity === "third") return Object.values(clm).includes(arm) ? 4 : 2;
    // Tenfold, so that what is close in the paper is not.
    return 100 - 10 * asInPaper(arm, quantity);
  };

  const isHanded = ({ quantizedBits }: RunSpec) => quantizedBits.length > 0;
  const inputs = arms.flatMap((arm) => {
    const always = [[arm, "end"], [arm, "third"]] as const;
    const rounded = ROUNDED.map((bits) => [arm, `${bits} bits`] as const);
    return specs.some((spec) => spec.arm === arm && isHanded(spec))
      ? [...always, ...rounded]
      : always;
  });
  const firstSeed = specs.filter(({ training }) => training.seed === joins.seeds[0]);
  const claimsOf = (made: Made, seeds = specs) =>
    handoverClaims(makeResults(seeds, made), preset, CONTEXT);

  Deno.test(`handoverClaims() of ${name}: the paper's claims, each of the arms it is about`, () => {
    for (const arm of [...Object.keys(LOSSES), ...latentArms]) assert.ok(arms.includes(arm), arm);
    assertEffects((made) => claimsOf(made, firstSeed), inputs, PAPER);
  });

  Deno.test(`handoverClaims() of ${name}: reproduced in the paper's orders, by several seeds`, () => {
    const rows = claimsOf(withSeeds(asInPaper, (arm) => !latentArms.has(arm)));
    const isSingle = joins.seeds.length === 1;
    assertVerdicts(rows, isSingle ? "trend only" : "reproduced");
    for (const row of rows) {
      assert.deepEqual(row.seeds, joins.seeds);
      assert.equal(row.interval === null, isSingle);
      const { preset: found, backend, git } = row;
      assert.deepEqual({ preset: found, backend, git }, CONTEXT);
    }
  });

  Deno.test(`handoverClaims() of ${name}: not reproduced with all orders turned round`, () => {
    const rows = claimsOf(withSeeds(turned, (arm) => !latentArms.has(arm)));
    assertVerdicts(rows, "not reproduced");
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
      () => bits,
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

Deno.test("frozenCurve() sets decoders' losses against the mean of the autoencoder's own", () => {
  const sources = [
    "mixer, 64 wide",
    "mixer, kernel 8, 64 wide, repeat",
    "mixer, kernel 16, 64 wide, repeat",
  ];
  const references = [
    names.noEncoder,
    names.frozen(autoencoderArm.causal("mixer")),
    names.trained(sources[0]!),
    names.trained(sources[2]!),
  ];
  const losses = new Map([
    ...sources.map((source, i) => [source, 10 * (i + 1)] as const),
    ...sources.map((source, i) => [names.frozen(source), i + 1] as const),
    ...references.map((label, i) => [label, 5 + i] as const),
  ]);
  const frozen = handoverSpecs(SMALL).filter(({ arm }) => losses.has(arm));
  const results = makeResults(
    frozen,
    (arm, quantity, place) => quantity === "end" ? losses.get(arm)! + place : NaN,
  );
  const { rows, references: found } = frozenCurve(results, SMALL);
  // The mean over seeds 0, 1 and 2 is that of seed 1.
  const points = [11, 21, 31].flatMap((x, i) => [0, 1, 2].map((seed) => [x, seed, i + 1 + seed]));
  assert.deepEqual([...seriesOf(rows).values()], [points]);
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
