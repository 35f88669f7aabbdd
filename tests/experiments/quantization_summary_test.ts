import assert from "node:assert/strict";
import { quantizationSpecs } from "../../lib/experiments/quantization_arms.ts";
import {
  armsNamed,
  bottleneckLead,
  costsOf,
  embeddingActivations,
  formatTable,
  lossesUnder,
  moduleCosts,
  otherCosts,
  PAPER_COSTS,
  quantizationTable,
  rounded,
  storageTable,
} from "../../lib/experiments/quantization_summary.ts";
import { createRandom } from "../../lib/random.ts";
import { halfWidth } from "./_entropy_training.ts";
import { mean } from "../../lib/measure/mod.ts";
import { assertNear } from "./_made_runs.ts";
import {
  KNOWN,
  type MadeNumber,
  MODULES,
  PRESET,
  quantizedResults,
  SPECS,
  TEXT,
} from "./_quantized.ts";

const PLACES = [0, 1, 2];
const FORMAT = PRESET.sweepFormat;

/** A number of its own for everything that is measured. */
const made: MadeNumber = (...label) => 1 + createRandom(7).stream(label.join()).uniform();
const RESULTS = quantizedResults(SPECS, made);

const armOf = (name: string, family: string = TEXT) => armsNamed(RESULTS, family, [name])[0]!;
const madeOf = (arm: string, quantity: string, family: string = TEXT) =>
  PLACES.map((place) => made(family, arm, quantity, place));
/** What a condition adds to the loss. */
const madeCosts = (arm: string, quantity: string, family?: string) => {
  const losses = madeOf(arm, "loss", family);
  return madeOf(arm, quantity, family).map((loss, place) => loss - losses[place]!);
};
const bounded = (values: readonly number[], digits = 3) =>
  `${mean(values).toFixed(digits)} ± ${halfWidth(values).toFixed(digits)}`;

function assertAllNear(found: readonly number[], expected: readonly number[], what: string): void {
  assert.equal(found.length, expected.length, what);
  found.forEach((value, i) => assertNear(value, expected[i]!, `${what}, ${i}`));
}

Deno.test("rounded names the conditions of the paper's tables", () => {
  const of = (modules: string, site: string, quantization: string) => ({
    modules,
    site,
    quantization,
  });
  assert.deepEqual(rounded.embedding("e5m2"), of("down", "output", "e5m2"));
  assert.deepEqual(rounded.int8Probe, of("down", "output", "int8/row"));
  assert.deepEqual(rounded.int8Up, of("up", "product", "int8/row"));
  assert.deepEqual(rounded.int8All, of("all", "product", "int8/row"));
  assert.deepEqual(rounded.all("weight", "e4m3fn"), of("all", "weight", "e4m3fn"));
});

Deno.test("lossesUnder() is the loss of a condition, seed by seed, and costsOf() what it costs", () => {
  const arm = "noise 2⁻³";
  for (
    const [condition, quantity] of [
      [rounded.embedding("e5m2"), "down output e5m2"],
      [rounded.int8Up, "up product int8/row"],
      [rounded.int8All, "all product int8/row"],
      [rounded.all("weight", FORMAT), `all weight ${FORMAT}`],
      [rounded.all("output", FORMAT), `all output ${FORMAT}`],
      [{ modules: "decoder.embedding", site: "weight", quantization: FORMAT }, undefined],
    ] as const
  ) {
    const label = quantity ?? `decoder.embedding weight ${FORMAT}`;
    for (const family of [TEXT, KNOWN]) {
      const found = armOf(arm, family);
      assert.deepEqual(lossesUnder(found, condition), madeOf(arm, label, family));
      assertAllNear(costsOf(found, condition), madeCosts(arm, label, family), label);
    }
  }
});

Deno.test("lossesUnder() names the run that was not evaluated so", () => {
  const expected = new RangeError("no evaluation of text, CLM 0 with e5m2 down output");
  assert.throws(() => lossesUnder(armOf("CLM"), rounded.embedding("e5m2")), expected);
  assert.throws(
    () => lossesUnder(armOf("no noise"), rounded.all("input", FORMAT)),
    new RangeError(`no evaluation of text, no noise 0 with ${FORMAT} all input`),
  );
});

Deno.test("moduleCosts() are of every module once, in the tree's order; none without a sweep", () => {
  for (
    const [name, modules] of [["no noise", MODULES.augmented], ["CLM", MODULES.causal]] as const
  ) {
    for (const site of ["output", "weight"] as const) {
      const found = moduleCosts(armOf(name), site, FORMAT);
      assert.deepEqual(found.map(({ module }) => module), modules);
      for (const { module, site: of, costs } of found) {
        assert.equal(of, site);
        assertAllNear(costs, madeCosts(name, `${module} ${site} ${FORMAT}`), module);
      }
    }
    assert.deepEqual(moduleCosts(armOf(name), "input", FORMAT), []);
    assert.deepEqual(moduleCosts(armOf(name), "output", "e5m2"), []);
  }
  const specs = SPECS.map(({ rounding, ...spec }) => ({
    ...spec,
    rounding: { conditions: rounding!.conditions! },
  }));
  const [unswept] = armsNamed(quantizedResults(specs, made), TEXT, ["no noise"]);
  assert.deepEqual(moduleCosts(unswept!, "output", FORMAT), []);
});

Deno.test("armsNamed() are a family's arms in the order of the names, or an error with the name", () => {
  const found = armsNamed(RESULTS, KNOWN, ["noise 2⁻³", "no noise"]);
  assert.deepEqual(found.map(({ family, arm, seeds }) => [family, arm, seeds]), [
    [KNOWN, "noise 2⁻³", PRESET.known.seeds],
    [KNOWN, "no noise", PRESET.known.seeds],
  ]);
  assert.throws(
    () => armsNamed(RESULTS, KNOWN, ["CLM"]),
    /^RangeError: no arm "CLM" of known bits/,
  );
});

/** Costs of modules on a loss of 2, by module and seed. */
const COSTS: Readonly<Record<string, readonly number[]>> = {
  "encoder.embedding": [0.5, 0.25, 1],
  "encoder.head": [0, 1.5, 0.125],
  "down": [4, 1, 3],
  "up": [2, 5, 0.75],
  "decoder.embedding": [-0.5, 0.5, 0.25],
};
const withCosts: MadeNumber = (_family, arm, quantity, place) => {
  const [module, site, format] = quantity.split(" ");
  const isOf = arm === "no noise" && site === "weight" && format === FORMAT;
  return 2 + (isOf ? COSTS[module!]?.[place] ?? NaN : quantity === "loss" ? 0 : 100);
};

Deno.test("bottleneckLead() is the cost of down or up less the greatest other, by seed", () => {
  const [arm] = armsNamed(quantizedResults(SPECS, withCosts), TEXT, ["no noise"]);
  assert.deepEqual(bottleneckLead(arm!, "down", "weight", FORMAT), [3.5, -0.5, 2]);
  assert.deepEqual(bottleneckLead(arm!, "up", "weight", FORMAT), [1.5, 3.5, -0.25]);
});

Deno.test("otherCosts() are those of all modules but down and up, added up by seed", () => {
  const [arm] = armsNamed(quantizedResults(SPECS, withCosts), TEXT, ["no noise"]);
  assert.deepEqual(otherCosts(arm!, "weight", FORMAT), [0, 2.25, 1.375]);
});

Deno.test("embeddingActivations() are those of down, seed by seed, or an error with the run", () => {
  const found = embeddingActivations(armOf("no noise", KNOWN));
  assert.deepEqual(found.map(({ module }) => module), ["down", "down", "down"]);
  assert.deepEqual(
    found.map(({ deviation }) => deviation),
    madeOf("no noise", "deviation", KNOWN),
  );
  assert.deepEqual(
    found.map(({ excessKurtosis }) => excessKurtosis),
    madeOf("no noise", "kurtosis", KNOWN),
  );
  assert.throws(
    () => embeddingActivations(armOf("CLM")),
    new RangeError("no activations of down in text, CLM 0"),
  );
});

Deno.test("PAPER_COSTS are differences of the paper's losses to fp16's", () => {
  /** Paper §6.1, §6.2: of fp16, then of others. */
  const losses = {
    "no noise": [2.26, { fp16: 2.26, bf16: 2.28, e4m3fn: 4.86, e5m2: 6.65 }],
    noise: [2.424, { fp16: 2.424, "llm.int8": 2.437, e4m3fn: 2.672, e5m2: 3.253 }],
    "residual noise": [
      2.4203,
      { fp16: 2.4203, "llm.int8": 2.4228, e4m3fn: 2.4687, e5m2: 2.607 },
    ],
  } as const;
  const costs: Readonly<Record<string, Readonly<Record<string, number>>>> = PAPER_COSTS;
  for (const [name, [fp16, others]] of Object.entries(losses)) {
    for (const [format, loss] of Object.entries(others)) {
      assertNear(costs[name]![format]!, loss - fp16, `${name}, ${format}`);
    }
  }
  // On another evaluation set, where fp16 has 2.13.
  assertNear(PAPER_COSTS["no noise"]["llm.int8"], 2.47 - 2.13, "Int8 of the embedding");
  assertNear(PAPER_COSTS["no noise"].int8Up, 2.52 - 2.13, "Int8 of up");
  assert.deepEqual(Object.keys(costs), Object.keys(losses));
});

Deno.test("formatTable() has what every format costs each arm, and the paper's", () => {
  const names = ["noise 2⁻³", "no noise"];
  const table = formatTable(RESULTS, KNOWN, names, ["bf16", "e4m3fn", "llm.int8", "int4/row"]);
  const row = (
    embedding: string,
    values: (arm: string) => readonly number[],
    [plain, noise, residual]: readonly [string, string, string],
  ) => ({
    data: KNOWN,
    embedding,
    ...Object.fromEntries(names.map((arm) => [arm, bounded(values(arm))])),
    "paper, no noise": plain,
    "paper, noise": noise,
    "paper, residual noise": residual,
  });
  const cost = (condition: string) => (arm: string) => madeCosts(arm, condition, KNOWN);
  assert.deepEqual(table, [
    row("not rounded: loss", (arm) => madeOf(arm, "loss", KNOWN), ["", "", ""]),
    row("bf16", cost("down output bf16"), ["0.02", "", ""]),
    row("e4m3fn", cost("down output e4m3fn"), ["2.6", "0.248", "0.0484"]),
    row("llm.int8", cost("down output llm.int8"), ["0.34", "0.013", "0.0025"]),
    row("int4/row", cost("down output int4/row"), ["", "", ""]),
    row("int8/row of up", cost("up product int8/row"), ["0.39", "", ""]),
  ]);
});

Deno.test("quantizationTable() has the loss, spread and costs of all of a family's arms", () => {
  const specs = quantizationSpecs({ ...PRESET, sweepFormat: "e5m2" });
  const results = quantizedResults(specs, made);
  for (const family of [TEXT, KNOWN]) {
    const runs = specs.filter((spec) => spec.family === family);
    const arms = [...new Set(runs.map(({ arm }) => arm))];
    assert.equal(arms.includes("CLM"), family === TEXT);
    const expected = arms.map((arm) => {
      const ofEmbedding = (say: () => string) => arm === "CLM" ? "" : say();
      const cost = (condition: string) => bounded(madeCosts(arm, condition, family));
      return {
        data: family,
        arm,
        loss: bounded(madeOf(arm, "loss", family)),
        "deviation of z": ofEmbedding(() => bounded(madeOf(arm, "deviation", family), 2)),
        "embedding in e5m2": ofEmbedding(() => cost("down output e5m2")),
        "loss in e5m2": ofEmbedding(() => bounded(madeOf(arm, "down output e5m2", family))),
        ...family === KNOWN && {
          "temperature fitted": bounded(madeOf(arm, "tempered e5m2", family)),
        },
        "all outputs in e5m2": cost("all output e5m2"),
        "all weights in e5m2": cost("all weight e5m2"),
        "all in int8/row": cost("all product int8/row"),
      };
    });
    assert.deepEqual(quantizationTable(results, family, "e5m2"), expected);
  }
});

Deno.test("storageTable() adds the price of the stored bits, over the tokens of a sequence", () => {
  const names = ["no noise", "noise 2⁻³"];
  // Bits of 4 numbers in whole bytes: with a scale of its own a row has 32 more.
  const stored: readonly (readonly [format: string, bits: number, quantity: string])[] = [
    ["fp16", 64, "down output fp16"],
    ["int8/row", 64, "down output int8/row"],
    ["e4m3fn", 32, "down output e4m3fn"],
    ["e3m2", 24, "down output e3m2"],
    ["int4/row", 48, "down output int4/row"],
    ["int8/channel", 32, "8 bits"],
    ["int5/channel", 24, "5 bits"],
    ["int2/channel", 8, "2 bits"],
  ];
  for (
    const [family, { embeddingSize, data }] of [[TEXT, PRESET.text], [KNOWN, PRESET.known]] as const
  ) {
    assert.equal(embeddingSize, 4);
    const table = storageTable(RESULTS, family, names, stored.map(([format]) => format));
    assert.deepEqual(
      table,
      stored.map(([embedding, bits, quantity]) => {
        const price = bits * Math.log(2) / data.contextLength;
        return {
          embedding,
          "bits stored": bits,
          "price (nats)": price.toFixed(3),
          ...Object.fromEntries(names.flatMap((arm) => {
            const losses = madeOf(arm, quantity, family);
            return [
              [`${arm}: loss`, bounded(losses)],
              [`${arm}: paid`, bounded(losses.map((loss) => loss + price))],
            ];
          })),
        };
      }),
    );
  }
  assert.throws(
    () => storageTable(RESULTS, TEXT, names, ["int9/channel"]),
    /^RangeError: no evaluation of text, no noise 0 at 9 bits/,
  );
});

Deno.test("tables of one seed have no intervals", () => {
  const results = RESULTS.filter(({ config }) => config.spec.training.seed === 2);
  const tables = [
    formatTable(results, TEXT, ["no noise"], ["e4m3fn"]),
    quantizationTable(results, TEXT, FORMAT),
    storageTable(results, TEXT, ["no noise"], ["fp16"]),
  ];
  assert.equal(tables[0]![0]!["no noise"], made(TEXT, "no noise", "loss", 0).toFixed(3));
  assert.doesNotMatch(JSON.stringify(tables), /±/);
});
