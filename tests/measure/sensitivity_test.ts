import assert from "node:assert/strict";
import { mapTree, tensor } from "../../lib/engine/mod.ts";
import {
  type Condition,
  type QuantizedLoss,
  quantizedLosses,
  type QuantizedModel,
  sensitivityConditions,
  type Site,
} from "../../lib/measure/mod.ts";
import { isTable, moduleNames } from "../../lib/layers/mod.ts";
import {
  type AugmentedDecoder,
  decoderLogits,
  encodeSequence,
  memoryOf,
  visibleTokens,
} from "../../lib/models/mod.ts";
import { FLOAT_FORMATS, type FloatFormatName } from "../../lib/qat/mod.ts";
import { onEveryBackend, onTensorFlow } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";
import { estimated, windowsOf } from "../entropy/_estimated.ts";
import {
  AUGMENTED,
  augmented,
  BATCH,
  CAUSAL,
  LENGTH,
  mixer,
  PAD,
  refusal,
  TINY_MODELS,
  tinyIds,
  transformer,
} from "../models/_tiny.ts";
import {
  countFunctions,
  crossEntropy,
  hostLoss,
  idsOf,
  largestOf,
  PADDED,
  tensorCounts,
  toFormat,
  toIntegers,
  WINDOWS,
  withWeights,
} from "./_rounded.ts";

const once = { oncePerBackend: true } as const;

async function lossesOf(
  model: QuantizedModel,
  conditions: readonly Condition[],
  windows = WINDOWS,
): Promise<QuantizedLoss[]> {
  return await Array.fromAsync(quantizedLosses(model, windows, conditions, { batchSize: 2 }));
}

async function lossOf(
  model: QuantizedModel,
  modules: Condition["modules"],
  site: Site,
  quantization: string,
  windows = WINDOWS,
): Promise<number> {
  const [loss] = await lossesOf(model, [{ modules, site, quantization }], windows);
  return loss!.lossNats;
}

for (const [name, config] of Object.entries(TINY_MODELS)) {
  onEveryBackend(`quantizedLosses() rounds any weight of the ${name}`, async () => {
    const model = estimated(config);
    const conditions = sensitivityConditions(model.params, {
      quantization: "e3m2",
      sites: ["weight"],
    });
    assert.equal(conditions.length, moduleNames(model.params).length);
    const found = await lossesOf(model, conditions);
    const plain = await hostLoss(model, WINDOWS);
    for (const [i, { lossNats, scoredTokens, ...condition }] of found.entries()) {
      assert.deepEqual(condition, conditions[i]);
      const params = withWeights(
        model.params,
        condition.modules as string[],
        (values) => toFormat(values, "e3m2"),
      );
      const expected = await hostLoss({ ...model, params }, WINDOWS);
      assertClose([lossNats], [expected], 1e-6, `${condition.modules}`);
      assert.ok(Math.abs(lossNats - plain) > 1e-5, `${condition.modules} makes a difference`);
      assert.equal(scoredTokens, 3 * (config.kind === "autoencoder" ? LENGTH : LENGTH - 1));
    }
  }, { only: ["cpu"] });
}

onEveryBackend("quantizedLosses() rounds weights to any float format, together", async () => {
  const model = estimated(AUGMENTED["transformer EEM"]);
  const modules = ["decoder.embedding", "up", "decoder.blocks.1.attention.key"];
  const formats = Object.keys(FLOAT_FORMATS) as FloatFormatName[];
  const found = await lossesOf(
    model,
    formats.map((quantization) => ({ modules, site: "weight", quantization })),
  );
  const expected: number[] = [];
  for (const format of formats) {
    const params = withWeights(model.params, modules, (values) => toFormat(values, format));
    expected.push(await hostLoss({ ...model, params }, WINDOWS));
  }
  assertClose(found.map(({ lossNats }) => lossNats), expected, 2e-6, "losses");
  assert.equal(new Set(found.map(({ lossNats }) => lossNats)).size, formats.length);
}, once);

onEveryBackend("quantizedLosses() rounds weights to integers by row and by column", async () => {
  const model = estimated(CAUSAL["transformer CLM"]);
  const module = "blocks.0.feedForward.gate";
  const by = (axis: "row" | "channel") => (values: Float32Array, shape: readonly number[]) => {
    const [rows, columns] = shape as [number, number];
    const keyOf = (i: number) => axis === "row" ? Math.floor(i / columns) : i % columns;
    const scales = Array.from(
      { length: axis === "row" ? rows : columns },
      (_, key) => largestOf(values.filter((_, i) => keyOf(i) === key)),
    );
    return values.map((value, i) => toIntegers(Float32Array.of(value), 4, scales[keyOf(i)]!)[0]!);
  };
  const losses: number[] = [];
  for (const axis of ["row", "channel"] as const) {
    const params = withWeights(model.params, [module], by(axis));
    const found = await lossOf(model, [module], "weight", `int4/${axis}`);
    assertClose([found], [await hostLoss({ ...model, params }, WINDOWS)], 5e-6, axis);
    losses.push(found);
  }
  assert.ok(Math.abs(losses[0]! - losses[1]!) > 1e-4);
}, once);

for (const [name, config] of Object.entries({ ...CAUSAL, ...AUGMENTED })) {
  onEveryBackend(`quantizedLosses() rounds the logits of the ${name}`, async () => {
    const model = estimated(config, PAD);
    const head = config.kind === "causal" ? "head" : "decoder.head";
    for (const format of ["bf16", "e4m3fn"] as const) {
      const found = await lossOf(model, [head], "output", format, PADDED);
      const expected = await hostLoss(model, PADDED, (logits) => toFormat(logits, format));
      assertClose([found], [expected], 2e-6, format);
      assert.ok(Math.abs(found - await hostLoss(model, PADDED)) > 1e-5, "it makes a difference");
    }
  }, once);
}

function eem() {
  return estimated(AUGMENTED["transformer EEM"], PAD);
}

/** The loss of that EEM with its embedding `z [B, P]` changed on the host, by its own weights or others. */
async function lossWithEmbedding(
  { params, padId }: QuantizedModel,
  change: (z: Float32Array) => Float32Array,
  changed = params,
): Promise<number> {
  const config = AUGMENTED["transformer EEM"];
  const idsNB = idsOf(PADDED);
  const visibleBN = visibleTokens(idsNB, padId);
  const zBP = encodeSequence(config, params as AugmentedDecoder, idsNB, visibleBN);
  const decoder = changed as AugmentedDecoder;
  const memoryBM = memoryOf(decoder, tensor(change(await read(zBP)), zBP.shape));
  const logits = decoderLogits(config, decoder, memoryBM, idsNB, visibleBN);
  return crossEntropy(await read(logits), logits.shape, PADDED, padId);
}

onEveryBackend("quantizedLosses() rounds what a module gives and what the next takes", async () => {
  const model = eem();
  const expected = await lossWithEmbedding(model, (z) => toFormat(z, "e3m2"));
  const [given, taken] = await lossesOf(model, [
    { modules: ["down"], site: "output", quantization: "e3m2" },
    { modules: ["up"], site: "input", quantization: "e3m2" },
  ], PADDED);
  assertClose([given!.lossNats, taken!.lossNats], [expected, expected], 5e-6, "losses");
  const plain = await lossWithEmbedding(model, (z) => z);
  assert.ok(Math.abs(plain - expected) > 1e-3);
}, once);

onEveryBackend("quantizedLosses() multiplies as LLM.int8 does", async () => {
  const tiny = eem();
  // The first number of every embedding lies beyond the threshold of 6, the others below it.
  const params = mapTree(
    tiny.params,
    (leaf, name) => name === "down.bias" ? tensor([9, 0.3, -0.2], leaf.shape) : leaf,
  );
  const model = { ...tiny, params };
  const changed = withWeights(params, ["up"], (values, [, columns]) => {
    const scales = Array.from(
      { length: columns! },
      (_, column) => largestOf(values.filter((_, i) => i % columns! === column)),
    );
    return values.map((value, i) =>
      toIntegers(Float32Array.of(value), 8, scales[i % columns!]!)[0]!
    );
  });
  const change = (z: Float32Array) =>
    z.map((value, i) => {
      const start = i - i % 3;
      assert.ok(Math.abs(z[start]!) >= 6 && Math.abs(z[start + 1]!) < 6);
      return i === start
        ? toFormat(Float32Array.of(value), "fp16")[0]!
        : toIntegers(Float32Array.of(value), 8, largestOf(z.subarray(start + 1, start + 3)))[0]!;
    });
  const expected = await lossWithEmbedding(model, change, changed);
  const found = await lossOf(model, ["up"], "product", "llm.int8", PADDED);
  assertClose([found], [expected], 1e-6, "loss");
  for (const other of ["int8/row", "int8/tensor"]) {
    const loss = await lossOf(model, ["up"], "product", other, PADDED);
    assert.ok(Math.abs(loss - expected) > 1e-5, other);
  }
  const weightAlone = await lossOf(model, ["up"], "weight", "int8/channel", PADDED);
  const inputAlone = await lossOf(model, ["up"], "input", "llm.int8", PADDED);
  assert.equal(new Set([found, weightAlone, inputAlone]).size, 3);
}, once);

onEveryBackend('quantizedLosses() takes "all" for all modules that have the site', async () => {
  const model = estimated(
    augmented((n) => transformer(n, { positions: "learned" }), mixer),
  );
  const names = moduleNames(model.params);
  const inputs = names.filter((name) => !isTable(name));
  const products = inputs.filter((name) => !name.endsWith(".mix"));
  assert.equal(inputs.length - products.length, 2, "mixings of the decoder");
  assert.deepEqual(names.filter(isTable), [
    "encoder.embedding",
    "encoder.positions",
    "decoder.embedding",
  ]);
  for (const site of ["output", "input", "weight", "product"] as const) {
    const named = { output: names, weight: names, input: inputs, product: products }[site];
    const all = await lossOf(model, "all", site, "int8/row");
    assert.equal(all, await lossOf(model, named, site, "int8/row"), site);
    assert.notEqual(all, await lossOf(model, named.slice(1), site, "int8/row"), site);
  }
}, { only: ["cpu"] });

onEveryBackend(
  "quantizedLosses() gives the same numbers again, and a loss that is none",
  async () => {
    const model = eem();
    const conditions = sensitivityConditions(model.params, {
      quantization: "nf4/row",
      modules: ["down", "up"],
      sites: ["output", "weight", "product"],
    });
    assert.deepEqual(await lossesOf(model, conditions), await lossesOf(model, conditions));
    const params = mapTree(
      model.params,
      (leaf, name) => name === "up.bias" ? tensor(new Float32Array(8).fill(NaN), [8]) : leaf,
    );
    const [broken] = await lossesOf({ ...model, params }, conditions);
    assert.deepEqual([broken!.lossNats, broken!.scoredTokens], [NaN, 3 * (LENGTH - 1)]);
  },
  once,
);

onEveryBackend("quantizedLosses() stops between conditions and frees its tensors", async () => {
  const model = eem();
  const conditions = sensitivityConditions(model.params, { quantization: "int8/row" });
  const before = tensorCounts();
  const controller = new AbortController();
  const { signal } = controller;
  const losses = quantizedLosses(model, WINDOWS, conditions, { batchSize: 2, signal });
  for (let i = 0; i < 3; i++) {
    assert.deepEqual((await losses.next()).value!.modules, conditions[i]!.modules);
    assert.deepEqual(tensorCounts(), before, `condition ${i}`);
  }
  controller.abort();
  assert.equal((await losses.next()).done, true);
  assert.deepEqual(tensorCounts(), before);
  for await (const _ of quantizedLosses(model, WINDOWS, conditions, { batchSize: 2 })) break;
  assert.deepEqual(tensorCounts(), before);
  const none = quantizedLosses(model, WINDOWS, conditions, { batchSize: 2, signal });
  assert.deepEqual(await Array.fromAsync(none), []);
}, once);

onEveryBackend("quantizedLosses() lets others abort it while it runs", async () => {
  const model = eem();
  const conditions = sensitivityConditions(model.params, { quantization: "fp16" });
  const controller = new AbortController();
  const { signal } = controller;
  setTimeout(() => controller.abort(), 0);
  const losses = quantizedLosses(model, WINDOWS, conditions, { batchSize: 2, signal });
  assert.ok((await Array.fromAsync(losses)).length < conditions.length);
}, once);

onTensorFlow("quantizedLosses() frees what it has compiled", async () => {
  const model = eem();
  const count = countFunctions();
  const conditions = sensitivityConditions(model.params, {
    quantization: "fp16",
    modules: ["down", "up"],
    sites: ["output", "weight", "product"],
  });
  const losses = await lossesOf(model, conditions);
  assert.deepEqual([losses.length, ...count.stop()], [6, 5, 5], "weights share one");
});

onEveryBackend("quantizedLosses() refuses at once what cannot be rounded", () => {
  const model = eem();
  const refusalOf = (
    condition: Partial<Record<keyof Condition, unknown>>,
    { windows = WINDOWS, batchSize = 2 } = {},
  ) => {
    const good: Condition = { modules: ["up"], site: "weight", quantization: "e4m3fn" };
    const bad = { ...good, ...condition } as Condition;
    return refusal(() => quantizedLosses(model, windows, [good, bad], { batchSize }));
  };
  assert.match(refusalOf({ modules: ["upp"] }), /^module upp: expected one of encoder.embedding, /);
  assert.equal(
    refusalOf({ modules: [] }),
    'modules: expected the name of one or more, or "all", found none',
  );
  for (const site of ["input", "product"]) {
    assert.equal(
      refusalOf({ modules: ["up", "decoder.embedding"], site }),
      `module decoder.embedding: expected site output or weight, found ${site}; it is a table, ` +
        "which reads ids",
    );
  }
  assert.equal(
    refusalOf({ site: "bias" }),
    "site: expected one of output, input, weight, product, found bias",
  );
  assert.match(refusalOf({ quantization: "e4m3" }), /^quantization: expected .*, found "e4m3"$/);
  assert.match(
    refusalOf({}, { windows: windowsOf(tinyIds(LENGTH + 1), LENGTH + 1) }),
    /^expected windows of 5 tokens, /,
  );
  assert.match(refusalOf({}, { batchSize: 0 }), /^windows in a batch must be a whole number of /);
}, { only: ["cpu"] });

onEveryBackend("quantizedLosses() needs the values that a second-order model learned", async () => {
  const model = estimated(
    { kind: "second-order", backbone: transformer(LENGTH), shift: false } as const,
  );
  const condition = { modules: "all", site: "weight", quantization: "bf16" } as const;
  const windows = windowsOf(tinyIds());
  assert.match(
    refusal(() => quantizedLosses(model, windows, [condition], { batchSize: 2 })),
    /^a second-order model: expected windows with the values that it learned, found none$/,
  );
  const values = new Float32Array(BATCH * LENGTH).fill(2);
  const [loss] = await lossesOf(model, [condition], { ...windows, values } as typeof windows);
  assert.ok(Number.isFinite(loss!.lossNats));
}, { only: ["cpu"] });

onEveryBackend("sensitivityConditions() has one for every module and site that it has", () => {
  const { params } = estimated(augmented(mixer, mixer));
  const conditions = (options: Omit<Parameters<typeof sensitivityConditions>[1], "quantization">) =>
    sensitivityConditions(params, { quantization: "int8", ...options });
  const names = moduleNames(params);
  assert.deepEqual(
    conditions({}),
    names.flatMap((name) =>
      ["output", "weight"].map((site) => ({ modules: [name], site, quantization: "int8" }))
    ),
  );
  assert.deepEqual(
    conditions({ modules: ["up", "encoder.embedding"], sites: ["input", "output"] })
      .map(({ modules, site }) => [...modules, site]),
    [["encoder.embedding", "output"], ["up", "input"], ["up", "output"]],
  );
  const refused = (options: Parameters<typeof conditions>[0]) => refusal(() => conditions(options));
  assert.equal(
    refused({ modules: ["encoder.embedding", "decoder.embedding"], sites: ["output", "input"] }),
    "site input: expected a module that has one, found encoder.embedding, decoder.embedding",
  );
  assert.match(refused({ modules: ["head"] }), /^module head: expected one of /);
  assert.match(refused({ modules: [] }), /^modules: expected the name of one or more/);
  assert.match(refused({ sites: ["bias" as Site] }), /^site: expected one of output, /);
  assert.match(
    refusal(() => sensitivityConditions(params, { quantization: "int99" })),
    /^quantization: expected /,
  );
}, { only: ["cpu"] });
