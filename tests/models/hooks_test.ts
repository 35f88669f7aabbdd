/** Hooks of named modules in every model, and against PyTorch in float64. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  add,
  concat,
  mul,
  namedLeaves,
  round,
  sin,
  slice,
  straightThrough,
  sub,
  type Tensor,
  tensor,
  transpose,
  valueAndGradient,
  withLeaves,
} from "../../lib/engine/mod.ts";
import {
  causalMask,
  type Hooks,
  isTable,
  linear,
  type MaskedMixing,
  maskedMixing,
  type ModuleHooks,
  moduleNames,
  type MultiHeadMixing,
  type TensorHook,
} from "../../lib/layers/mod.ts";
import {
  type BatchOptions,
  initModel,
  JOINS,
  type Model,
  type ModelConfig,
  modelLogits,
  needsValues,
  stacksOf,
  tokenLosses,
} from "../../lib/models/mod.ts";
import { castToFloatFormat } from "../../lib/qat/float_cast.ts";
import { createRandom } from "../../lib/random.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";
import { GOLDEN_NAMES, loadGolden } from "./_golden.ts";
import {
  augmented,
  autoencoder,
  BATCH,
  leftPadded,
  LENGTH,
  livelyModel,
  mixer,
  PAD,
  refusal,
  type StackOf,
  TINY_MODELS,
  transformer,
  WIDTH,
} from "./_tiny.ts";

const heads: StackOf = (length) => mixer(length, { headCount: 2, kernelSize: 2 });
const learned: StackOf = (length) => transformer(length, { positions: "learned" });

const { embeddingSize: _, ...uncompressed } = augmented(mixer, transformer);
const { embeddingSize: __, ...repeated } = autoencoder(transformer, learned, "repeat");

/** Every kind, architecture, join and expansion, with and without what some of them have. */
const MODELS: Readonly<Record<string, ModelConfig>> = {
  ...TINY_MODELS,
  "mixer CLM by heads": { kind: "causal", backbone: heads(LENGTH) },
  "transformer CLM with learned positions": {
    kind: "causal",
    backbone: learned(LENGTH),
    headBias: true,
  },
  "EEM by heads": augmented(heads, learned),
  "EEM without layers between": {
    ...uncompressed,
    decoder: { ...uncompressed.decoder, width: WIDTH },
  },
  "AE without layers between": { ...repeated, decoder: learned(LENGTH) },
  "decoder of zeros": { kind: "augmented", memory: "zeros", decoder: transformer(LENGTH + 1) },
  "2EEM": { kind: "second-order", backbone: heads(LENGTH), shift: false },
};

type Site = keyof ModuleHooks;
const SITES: readonly Site[] = ["input", "output", "weight"];

/** The sites of a module that take a hook. */
function sitesOf(name: string): readonly Site[] {
  return isTable(name) ? ["output", "weight"] : SITES;
}

/** Hooks of every module, at each of the sites that it has. */
function everywhere(
  params: Model,
  hook: (name: string, site: Site) => TensorHook,
  sites: readonly Site[] = SITES,
): Hooks {
  return Object.fromEntries(
    moduleNames(params).map((name) => {
      const own = sitesOf(name).filter((site) => sites.includes(site));
      return [name, Object.fromEntries(own.map((site) => [site, hook(name, site)]))];
    }),
  );
}

const ids = () => tensor(leftPadded(2), [BATCH, LENGTH], "int32");

/** Token losses on a padded batch, or the squared errors of second-order models. */
function lossesOf(
  config: ModelConfig,
  params: Model,
  idsBN: Tensor,
  options: Partial<BatchOptions> = {},
): Tensor {
  const values = needsValues(config)
    ? { valuesBN: tensor(normals(BATCH * LENGTH, 8), [BATCH, LENGTH]) }
    : {};
  return tokenLosses(config, params, idsBN, { padId: PAD, ...values, ...options }).lossTB;
}

/** The part of a tree at a path. */
function layerAt(params: Model, name: string): { weight: Tensor; bias?: Tensor } {
  return name.split(".").reduce(
    (tree, key) => (tree as unknown as Record<string, Model>)[key]!,
    params,
  ) as unknown as { weight: Tensor };
}

/** The stack that a module belongs to: the encoder's, the decoder's or the only one. */
function stackOf(config: ModelConfig, name: string) {
  const stacks = stacksOf(config);
  return name.startsWith("encoder.") ? stacks[0]! : stacks.at(-1)!;
}

/** Axes of a module's activations but the last, and how often it is used. */
function leadingAxes(config: ModelConfig, name: string): { axes: number[]; uses: number } {
  const { contextLength } = stackOf(config, name);
  const scored = config.kind === "autoencoder" ? LENGTH : LENGTH - 1;
  if (name.endsWith("positions")) return { axes: [contextLength], uses: 1 };
  if (/blocks\.\d+\.hidden$/.test(name)) return { axes: [BATCH], uses: contextLength };
  if (name.includes("blocks.")) return { axes: [contextLength, BATCH], uses: 1 };
  if (/embedding$|unroll$/.test(name)) return { axes: [LENGTH, BATCH], uses: 1 };
  if (/head$/.test(name)) return { axes: [scored, BATCH], uses: 1 };
  return { axes: [BATCH], uses: 1 };
}

/** What a module without hooks makes of its input. */
async function outputOf(
  config: ModelConfig,
  params: Model,
  name: string,
  input: Tensor | undefined,
): Promise<Tensor> {
  const layer = layerAt(params, name);
  if (name.endsWith("positions")) return layer.weight;
  if (input === undefined) {
    const width = layer.weight.shape[1]!;
    const [table, rows] = [await read(layer.weight), await transpose(ids()).data()];
    const values = [...rows].flatMap((id) => [...table.slice(id * width, (id + 1) * width)]);
    return tensor(values, [LENGTH, BATCH, width]);
  }
  if (!name.endsWith("mix")) return linear(layer, input);
  const mask = causalMask(stackOf(config, name).contextLength);
  if (layer.weight.rank === 2) return maskedMixing(layer as MaskedMixing, mask, input);
  const { weight, bias } = layer as MultiHeadMixing;
  const [headCount, , taps] = weight.shape as [number, number, number];
  const [length, batch, width] = input.shape as [number, number, number];
  const headWidth = width / headCount;
  const mixed = Array.from({ length: headCount }, (_, head) => {
    const own = {
      weight: slice(weight, [head, 0, 0], [1, length, taps]).reshape([length, taps]),
      bias: slice(bias, [head, 0], [1, length]).reshape([length]),
    };
    const part = slice(input, [0, 0, head * headWidth], [length, batch, headWidth]);
    return maskedMixing(own, mask, part);
  });
  return concat(mixed, 2);
}

for (const [name, config] of Object.entries(MODELS)) {
  onEveryBackend(
    `hooks see what every module reads, has and gives: ${name}`,
    async () => {
      const params = livelyModel(config);
      const seen = new Map<string, Tensor[]>();
      const kept = (module: string, site: Site): TensorHook => (x) => {
        const key = `${module} ${site}`;
        seen.set(key, [...seen.get(key) ?? [], x]);
        return x;
      };
      const plain = await read(lossesOf(config, params, ids()));
      const watched = lossesOf(config, params, ids(), { hooks: everywhere(params, kept) });
      assert.deepEqual(await read(watched), plain, "hooks that change nothing change no bit");

      const names = moduleNames(params);
      assert.equal(seen.size, names.flatMap(sitesOf).length);
      for (const module of names) {
        const { weight } = layerAt(params, module);
        const weights = seen.get(`${module} weight`)!;
        assert.equal(weights.length, 1, module);
        assert.equal(weights[0], weight, module);
        const { axes, uses } = leadingAxes(config, module);
        const outputs = seen.get(`${module} output`)!;
        const inputs = seen.get(`${module} input`) ?? [];
        assert.equal(outputs.length, uses, module);
        assert.equal(inputs.length, isTable(module) ? 0 : uses, module);
        const isMixing = module.endsWith("mix");
        const [inputWidth, outputWidth] = isMixing
          ? [stackOf(config, module).width, stackOf(config, module).width]
          : weight.shape.slice(-2);
        for (const [use, output] of outputs.entries()) {
          const input = inputs[use];
          if (input !== undefined) assert.deepEqual(input.shape, [...axes, inputWidth], module);
          assert.deepEqual(output.shape, [...axes, outputWidth], module);
          const expected = await read(await outputOf(config, params, module, input));
          assertClose(await read(output), expected, 1e-6, module);
        }
      }
    },
    { only: ["cpu"] },
  );

  onEveryBackend(
    `a hook of any module changes the losses, and nothing else: ${name}`,
    async () => {
      const params = livelyModel(config);
      const before = namedLeaves(params).map(({ tensor }) => ({
        tensor,
        values: tensor.dataSync().slice(),
      }));
      const plain = await read(lossesOf(config, params, ids()));
      for (const module of moduleNames(params)) {
        for (const site of sitesOf(module)) {
          const hooks = { [module]: { [site]: (x: Tensor) => mul(x, 1.5) } };
          const found = await read(lossesOf(config, params, ids(), { hooks }));
          const largest = Math.max(...found.map((loss, i) => Math.abs(loss - plain[i]!)));
          assert.ok(largest > 1e-4 && largest < 1e4, `${module}, ${site}: ${largest}`);
        }
      }
      for (const [index, { name, tensor }] of namedLeaves(params).entries()) {
        assert.equal(tensor, before[index]!.tensor, name);
        assert.deepEqual(tensor.dataSync(), before[index]!.values, name);
      }
      assert.deepEqual(await read(lossesOf(config, params, ids())), plain);
    },
    { only: ["cpu"] },
  );
}

/** Together they have every layer. */
const COMPILED = [
  "mixer CLM by heads",
  "LSTM CLM",
  "EEM by heads",
  "embedding-join EEM",
  "unrolled AE",
  "2EEM",
];

/** A function with a straight-through gradient in the place of its own. */
const bent: TensorHook = (x) => straightThrough(x, (x) => add(x, mul(sin(x), 0.3)));

for (const name of COMPILED) {
  const config = MODELS[name]!;

  onEveryBackend(
    `straight-through hooks let gradients through to all weights: ${name}`,
    async (mode) => {
      const params = livelyModel(config);
      const run = mode.compile((params: Model, idsBN: Tensor) =>
        valueAndGradient((params) => {
          const hooks = everywhere(params, () => bent);
          return lossesOf(config, params, idsBN, { hooks }).sum();
        }, params)
      );
      const result = run(params, ids());

      // The same without such gradients: weights that are bent already, and activations to which is
      // added what bending does to them, in the order of their use.
      // Compiled, too: oneDNN's compiled and uncompiled products add in other orders.
      const changed = mapModules(params, bent);
      const activations = (hook: TensorHook) => ({
        hooks: everywhere(params, () => hook, ["input", "output"]),
      });
      const differences = mode.compile((changed: Model, idsBN: Tensor) => {
        const added: Tensor[] = [];
        const recording = activations((x) => {
          added.push(sub(bent(x), x));
          return bent(x);
        });
        lossesOf(config, changed, idsBN, recording);
        return added;
      });
      const reference = mode.compile((changed: Model, idsBN: Tensor, added: readonly Tensor[]) => {
        const left = [...added];
        const adding = activations((x) => add(x, left.shift()!));
        return valueAndGradient(
          (params) => lossesOf(config, params, idsBN, adding).sum(),
          changed,
        );
      });
      const { value, gradient } = reference(changed, ids(), differences(changed, ids()));
      assertClose(await read(result.value), await read(value), 1e-5, "loss");
      const expected = namedLeaves(gradient);
      for (const [index, { name, tensor }] of namedLeaves(result.gradient).entries()) {
        assertClose(await read(tensor), await read(expected[index]!.tensor), 1e-5, name);
        assert.ok((await read(tensor)).some((one) => one !== 0), `${name} has a gradient`);
      }
      run.dispose();
      differences.dispose();
      reference.dispose();
    },
    { only: ["tensorflow graph", "wasm", "cpu"] },
  );
}

/** The model with the weight of each module changed. */
function mapModules(params: Model, change: TensorHook): Model {
  const names = new Set(moduleNames(params).map((module) => `${module}.weight`));
  const leaves = namedLeaves(params).map(({ name, tensor }) =>
    names.has(name) ? change(tensor) : tensor
  );
  return withLeaves(params, leaves);
}

onEveryBackend("functions compiled with hooks and without are apart", async (mode) => {
  const config = MODELS["mixer CLM by heads"]!;
  const params = livelyModel(config);
  const compiled = (options: Partial<BatchOptions>) =>
    mode.compile((params: Model, idsBN: Tensor) => lossesOf(config, params, idsBN, options));
  const times = (factor: number) => ({
    hooks: everywhere(params, () => (x) => mul(x, factor)),
  });
  const all = [{}, times(1.01), {}, times(0.98)];
  const functions = all.map(compiled);
  const expected: Float32Array[] = [];
  for (const options of all) expected.push(await read(lossesOf(config, params, ids(), options)));
  assert.notDeepEqual(expected[1], expected[0]);
  assert.notDeepEqual(expected[3], expected[1]);
  for (let round = 0; round < 2; round++) {
    for (const [index, run] of functions.entries()) {
      assertClose(await read(run(params, ids())), expected[index]!, 1e-5, `${index}`);
    }
  }
  functions.forEach((run) => run.dispose());
}, { only: ["tensorflow graph", "tensorflow xla", "wasm"] });

onEveryBackend("an output hook of down is the hook of the embedding", async () => {
  for (const join of JOINS) {
    const config = augmented(mixer, transformer, join);
    const params = livelyModel(config);
    const hook: TensorHook = (x) => mul(round(mul(x, 2)), 0.5);
    const found = await read(
      lossesOf(config, params, ids(), { hooks: { down: { output: hook } } }),
    );
    assert.deepEqual(found, await read(lossesOf(config, params, ids(), { hook })));
    // The layer's is the first of both.
    const both = { hook, hooks: { down: { output: (x: Tensor) => mul(x, 3) } } };
    const thrice = lossesOf(config, params, ids(), { hook: (x) => hook(mul(x, 3)) });
    assert.deepEqual(await read(lossesOf(config, params, ids(), both)), await read(thrice));
  }
}, { only: ["cpu"] });

onEveryBackend("tokenLosses() and modelLogits() refuse hooks of modules that are not there", () => {
  const blocks = (part: string) =>
    ["mix.input", "mix", "mix.output", "feedForward.expand", "feedForward.contract"]
      .map((layer) => `${part}blocks.{0…1}.${layer}`).join(", ");
  const eem: ModelConfig = { ...augmented(heads, heads), join: "token" };
  const refusals: [ModelConfig, string, string][] = [
    [
      eem,
      "decoder.blocks.2.mix",
      `encoder.embedding, ${blocks("encoder.")}, down, up, projection, decoder.embedding, ` +
      `${blocks("decoder.")}, decoder.head`,
    ],
    [MODELS["2EEM"]!, "up", `embedding, ${blocks("")}, head`],
  ];
  for (const [config, module, listed] of refusals) {
    const params = livelyModel(config);
    const hooks = { [module]: { output: bent } };
    const message = `module ${module}: expected one of ${listed}, found none of that name`;
    assert.equal(refusal(() => lossesOf(config, params, ids(), { hooks })), message);
    if (needsValues(config)) continue;
    const options = { padId: PAD, hooks };
    assert.equal(
      refusal(() => modelLogits(config, params, transpose(ids()), options)),
      message,
    );
  }
  for (const [name, config] of Object.entries(MODELS)) {
    const params = livelyModel(config);
    for (const module of moduleNames(params).filter(isTable)) {
      assert.equal(
        refusal(() => lossesOf(config, params, ids(), { hooks: { [module]: { input: bent } } })),
        `module ${module}: expected no input hook, since it reads ids; use output`,
        name,
      );
    }
  }
}, { only: ["cpu"] });

for (const name of GOLDEN_NAMES) {
  onEveryBackend(`moduleNames() of ${name} are PyTorch's layers but its norms`, () => {
    const { config, parameters } = loadGolden(name);
    const weights = Object.keys(parameters).filter((key) => /(?<!norm\d?)\.weight$/i.test(key));
    const expected = weights.map((key) => key.replace(/\.weight$/, ""));
    assert.ok(weights.length > 0 && weights.length < Object.keys(parameters).length);
    const found = moduleNames(initModel(config, createRandom(1)));
    assert.deepEqual(found.toSorted(), expected.toSorted());
  }, { only: ["cpu"] });
}

/** What tests/reference/hooks_golden.py wrote. */
type HooksGolden = Readonly<{
  models: Readonly<
    Record<
      string,
      Readonly<{
        modules: readonly string[];
        plain: readonly number[];
        /** By site and rounding, then by module. */
        cases: Readonly<
          Record<
            string,
            Readonly<Record<string, { batch: number; tokenLosses: readonly number[] }>>
          >
        >;
      }>
    >
  >;
}>;

const golden: HooksGolden = JSON.parse(
  readFileSync(new URL("../golden/qat/hooks.json", import.meta.url), "utf8"),
);

const ROUNDINGS: Readonly<Record<string, TensorHook>> = {
  eighths: (x) => mul(round(mul(x, 8)), 1 / 8),
  e4m3fn: (x) => castToFloatFormat(x, "e4m3fn"),
};

for (const [name, { modules, plain, cases }] of Object.entries(golden.models)) {
  onEveryBackend(
    `tokenLosses() of ${name} with one module rounded agree with PyTorch`,
    async () => {
      const { config, padId, weights, batch } = loadGolden(name);
      const params = weights();
      assert.deepEqual(moduleNames(params).toSorted(), modules.toSorted());
      const found = async (index: number, hooks?: Hooks) => {
        const options = { padId, ...(hooks && { hooks }) };
        const { lossTB } = tokenLosses(config, params, batch(index).idsBN, options);
        return await read(transpose(lossTB));
      };
      assertClose(await found(0), plain, 5e-6, "no hook");
      for (const [place, ofModules] of Object.entries(cases)) {
        const [site, rounding] = place.split(", ") as [Site, string];
        const wanted = modules.filter((module) => sitesOf(module).includes(site));
        assert.deepEqual(Object.keys(ofModules), wanted);
        for (const [module, { batch, tokenLosses }] of Object.entries(ofModules)) {
          const hooks = { [module]: { [site]: ROUNDINGS[rounding]! } };
          assertClose(await found(batch, hooks), tokenLosses, 1e-5, `${place} of ${module}`);
        }
      }
    },
    { only: ["wasm", ...(name.includes("clm") ? ["tensorflow eager"] : [])] },
  );
}
