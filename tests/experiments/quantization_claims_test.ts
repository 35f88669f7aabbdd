import assert from "node:assert/strict";
import { quantizationClaims } from "../../lib/experiments/quantization_claims.ts";
import { mean } from "../../lib/measure/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { assertNear } from "./_made_runs.ts";
import { KNOWN, type MadeNumber, PRESET, quantizedResults, SPECS, TEXT } from "./_quantized.ts";

const CONTEXT = { preset: "small", backend: "tensorflow", git: "0123456789ab" };
const FORMAT = PRESET.sweepFormat;
const PLAIN = "no noise";
const NOISE = "noise 2⁻³";

/** A number of its own for everything that is measured. */
const made: MadeNumber = (...label) => 1 + createRandom(7).stream(label.join()).uniform();
const CLAIMS = quantizationClaims(quantizedResults(SPECS, made), PRESET, CONTEXT);

function claimOf(family: string, words: string) {
  const found = CLAIMS.filter(({ claim }) => claim === `${family}: ${words}`);
  assert.equal(found.length, 1, `claims "${family}: ${words}"`);
  return found[0]!;
}

/** The mean over seeds of a number that is made of others, seed by seed. */
const meanOf = (of: (place: number) => number) => mean([0, 1, 2].map(of));

Deno.test("quantizationClaims() are differences of losses and costs, in both parts", () => {
  for (const family of [TEXT, KNOWN]) {
    const of = (arm: string, quantity: string) => (place: number) =>
      made(family, arm, quantity, place);
    const cost = (arm: string, quantity: string) => (place: number) =>
      of(arm, quantity)(place) - of(arm, "loss")(place);
    const inFormat = (arm: string, format: string) => of(arm, `down output ${format}`);
    const costIn = (arm: string, format: string) => cost(arm, `down output ${format}`);
    const moduleCost = (arm: string, module: string, site = "output") =>
      cost(arm, `${module} ${site} ${FORMAT}`);
    const others = ["encoder.embedding", "encoder.head", "decoder.embedding"];
    const greatest = (arm: string) => (place: number) =>
      Math.max(...others.map((module) => moduleCost(arm, module)(place)));
    const added = (arm: string, site: string) => (place: number) =>
      others.reduce((sum, module) => sum + moduleCost(arm, module, site)(place), 0);
    const less = (a: (place: number) => number, b: (place: number) => number) => (place: number) =>
      a(place) - b(place);
    const widest = "noise 2⁻¹";

    const expected: [words: string, value: (place: number) => number][] = [
      ["without noise fp16 costs nothing", costIn(PLAIN, "fp16")],
      ["without noise bf16 costs about nothing", costIn(PLAIN, "bf16")],
      ["without noise Int8 of the embedding costs", costIn(PLAIN, "int8/row")],
      [
        "without noise Int8 of up costs more than Int8 of the embedding",
        less(cost(PLAIN, "up product int8/row"), costIn(PLAIN, "int8/row")),
      ],
      ["without noise e4m3fn costs", costIn(PLAIN, "e4m3fn")],
      [
        "without noise e5m2 costs more than e4m3fn",
        less(costIn(PLAIN, "e5m2"), costIn(PLAIN, "e4m3fn")),
      ],
      ...["down", "up"].map((module): [string, (place: number) => number] => [
        `without noise ${module} is more sensitive than the other modules`,
        less(moduleCost(PLAIN, module), greatest(PLAIN)),
      ]),
      ["noise costs no loss of its own", less(of(NOISE, "loss"), of(PLAIN, "loss"))],
      ...["e4m3fn", "e5m2"].map((format): [string, (place: number) => number] => [
        `noise makes the embedding bear ${format}`,
        less(costIn(PLAIN, format), costIn(NOISE, format)),
      ]),
      [
        "with noise the model is better when the embedding is e4m3fn",
        less(inFormat(PLAIN, "e4m3fn"), inFormat(NOISE, "e4m3fn")),
      ],
      [
        "with noise down is no more sensitive than the other modules",
        less(moduleCost(NOISE, "down"), greatest(NOISE)),
      ],
      ["with noise Int8 of the embedding costs nothing", costIn(NOISE, "int8/row")],
      [
        "residual noise makes it bear e5m2 better than plain noise",
        less(inFormat(NOISE, "e5m2"), inFormat("residual noise 2⁻²", "e5m2")),
      ],
      ...["output", "weight"].map((site): [string, (place: number) => number] => [
        `noise makes the ${site}s of all other modules bear e4m3fn`,
        less(added(PLAIN, site), added(NOISE, site)),
      ]),
      ["the widest noise is no better", less(of(widest, "loss"), of(NOISE, "loss"))],
      [
        "the widest noise is no better when the embedding is e4m3fn",
        less(inFormat(widest, "e4m3fn"), inFormat(NOISE, "e4m3fn")),
      ],
      ["noise widens the embedding", less(of(NOISE, "deviation"), of(PLAIN, "deviation"))],
      ["noise flattens the embedding", less(of(PLAIN, "kurtosis"), of(NOISE, "kurtosis"))],
    ];
    for (const [words, value] of expected) {
      const { ours, seeds } = claimOf(family, words);
      assertNear(ours!, meanOf(value), `${family}: ${words}`);
      assert.deepEqual(seeds, family === TEXT ? PRESET.text.seeds : PRESET.known.seeds);
    }
    const more = family === TEXT ? 2 : 0; // of Int8 everywhere
    const all = CLAIMS.filter(({ claim }) => claim.startsWith(`${family}: `));
    assert.equal(all.length, expected.length + more);
  }
});

Deno.test("quantizationClaims() compare Int8 of whole models, as a share of their losses", () => {
  const share = (arm: string) => (place: number) => {
    const loss = made(TEXT, arm, "loss", place);
    return 100 * (made(TEXT, arm, "all product int8/row", place) - loss) / loss;
  };
  const causal = claimOf(TEXT, "Int8 of a causal model costs less than 2 %");
  assertNear(causal.ours!, meanOf(share("CLM")), "the causal model");
  const both = claimOf(TEXT, "Int8 of an EEM costs more than of a causal model");
  const difference = (place: number) => share(PLAIN)(place) - share("CLM")(place);
  assertNear(both.ours!, meanOf(difference), "the difference");
});

Deno.test("quantizationClaims() call 2 % of what the embedding gives hardly any", () => {
  // 16 bits in 16 tokens: 2 % of ln 2 is 0.0139 nats. On text the embedding gives half a nat.
  const verdictOf = (family: string, cost: number) => {
    const losses: MadeNumber = (family, arm, quantity) => {
      const loss = arm === "CLM" ? 2 : family === KNOWN ? 0 : 1.5;
      return loss + (quantity === "down output fp16" ? cost : 0);
    };
    const claims = quantizationClaims(quantizedResults(SPECS, losses), PRESET, CONTEXT);
    return claims.find(({ claim }) => claim === `${family}: without noise fp16 costs nothing`)!
      .verdict;
  };
  assert.equal(verdictOf(KNOWN, 0.0138), "reproduced");
  assert.equal(verdictOf(KNOWN, 0.014), "not reproduced");
  assert.equal(verdictOf(TEXT, 0.0099), "reproduced");
  assert.equal(verdictOf(TEXT, 0.0101), "not reproduced");
});

Deno.test("quantizationClaims() compare no small costs where the embedding gives nothing", () => {
  const losses: MadeNumber = (_family, arm) => arm === "CLM" ? 1 : 2;
  const claims = quantizationClaims(quantizedResults(SPECS, losses), PRESET, CONTEXT);
  const found = claims.find(({ claim }) => claim === `${TEXT}: without noise fp16 costs nothing`);
  assert.equal(found!.verdict, "not comparable");
});

Deno.test("quantizationClaims() have the paper's costs beside ours", () => {
  const paperOf = (words: string) => claimOf(KNOWN, words).paper;
  assert.equal(paperOf("without noise e4m3fn costs"), 2.6); // 4.86 − 2.26
  assert.equal(paperOf("without noise e5m2 costs more than e4m3fn"), 1.79); // 6.65 − 4.86
  assert.equal(paperOf("without noise Int8 of up costs more than Int8 of the embedding"), 0.05);
  assert.equal(paperOf("noise makes the embedding bear e4m3fn"), 2.352); // 2.6 − 0.248
  assert.equal(paperOf("noise makes the embedding bear e5m2"), 3.561); // 4.39 − 0.829
});
