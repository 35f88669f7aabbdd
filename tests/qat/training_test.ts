import assert from "node:assert/strict";
import {
  ones,
  sub,
  sum,
  type Tensor,
  tensor,
  valueAndGradient,
  zeros,
} from "../../lib/engine/mod.ts";
import { type Hooks, moduleNames } from "../../lib/layers/mod.ts";
import {
  addNoise,
  checkQuantizationAwareTraining,
  fakeQuantize,
  needsNoise,
  type NoiseInjection,
  type QuantizationAwareTraining,
  quantizationHooks,
} from "../../lib/qat/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";
import { AUGMENTED, CAUSAL, livelyModel, refusal, TINY_MODELS } from "../models/_tiny.ts";

const NOISE: NoiseInjection = { method: "noise", width: 0.5, at: "embedding" };
const ROUNDING: QuantizationAwareTraining = {
  method: "fake-quantization",
  quantization: { format: "e4m3fn" },
  at: "embedding",
};

const seedOf = (...seed: [number, number]) => tensor(seed, [2], "int32");

/** What a hook adds to so many zeros. */
async function noiseOf(hook: (x: Tensor) => Tensor, count = 64): Promise<Float32Array> {
  return await read(hook(zeros([count])));
}

const mean = (values: ArrayLike<number>) =>
  Array.from(values).reduce((sum, one) => sum + one, 0) / values.length;

/** Of paired numbers with known means. */
function correlation(a: Float32Array, b: Float32Array, expected: number): number {
  const product = (one: Float32Array, other: Float32Array) =>
    mean(Array.from(one, (value, i) => (value - expected) * (other[i]! - expected)));
  return product(a, b) / Math.sqrt(product(a, a) * product(b, b));
}

const COUNT = 20_000;

for (const oneSided of [false, true]) {
  const [low, high] = oneSided ? [0, 0.5] : [-0.25, 0.25];
  onEveryBackend(`addNoise() is uniform from ${low} to ${high}`, async (mode) => {
    const run = mode.compile((seed: Tensor) =>
      addNoise(zeros([COUNT]), { ...NOISE, oneSided }, seed)
    );
    const noise = await read(run(seedOf(5, 7)));
    const [smallest, largest] = [noise, noise.map((one) => -one)].map((all) =>
      all.reduce((least, one) => Math.min(least, one))
    );
    // All of its range, and nothing beyond it.
    assert.ok(smallest! >= low && smallest! < low + 5e-4, `smallest ${smallest}`);
    assert.ok(-largest! <= high && -largest! > high - 5e-4, `largest ${-largest!}`);
    // Within four standard errors.
    const center = (low + high) / 2;
    const found = mean(noise);
    assert.ok(Math.abs(found - center) < 4 * 0.5 / Math.sqrt(12 * COUNT), `mean ${found}`);
    const variance = mean(noise.map((one) => (one - center) ** 2));
    const error = 4 * Math.sqrt((1 / 80 - 1 / 144) / COUNT) * 0.25;
    assert.ok(Math.abs(variance - 0.25 / 12) < error, `variance ${variance}`);
    // Kolmogorov and Smirnov's distance from the uniform distribution, at 0.1 %.
    const distance = noise.toSorted().reduce(
      (most, one, i) => Math.max(most, Math.abs((one - low) / 0.5 - (i + 0.5) / COUNT)),
      0,
    );
    assert.ok(distance < 1.95 / Math.sqrt(COUNT), `distance ${distance}`);
    run.dispose();
  }, { only: ["tensorflow graph", "tensorflow xla", "wasm"] });
}

onEveryBackend(
  "addNoise() is a function of its seed, and new for each number and seed",
  async (mode) => {
    const run = mode.compile((seed: Tensor) => addNoise(zeros([50, 80]), NOISE, seed));
    const seeds: [number, number][] = [[5, 7], [6, 7], [5, 8], [7, 5], [-5, 7]];
    const drawn = [];
    for (const seed of seeds) drawn.push(await read(run(seedOf(...seed))));
    for (const [index, noise] of drawn.entries()) {
      assert.deepEqual(await read(run(seedOf(...seeds[index]!))), noise);
      assert.ok(new Set(noise).size > 0.99 * noise.length, "numbers of their own");
      // Neighbours along each axis, and the same places of other seeds.
      const others = [1, 80].map((by) => Float32Array.from(noise, (_, i) => noise.at(i - by)!));
      for (const other of [...others, ...drawn.slice(0, index)]) {
        const found = correlation(noise, other, 0);
        assert.ok(Math.abs(found) < 4 / Math.sqrt(noise.length), `correlation ${found}`);
      }
    }
    run.dispose();
  },
  { only: ["tensorflow graph", "wasm"] },
);

onEveryBackend("addNoise() adds to x, a share of it if relative", async (mode) => {
  const values = normals(24, 1, 3);
  const x = tensor(values, [2, 3, 4]);
  const seed = seedOf(1, 2);
  const noise = await read(addNoise(zeros([2, 3, 4]), NOISE, seed));
  const run = mode.compile((x: Tensor, seed: Tensor) => ({
    absolute: addNoise(x, NOISE, seed),
    relative: addNoise(x, { ...NOISE, relative: true }, seed),
  }));
  const { absolute, relative } = run(x, seed);
  assert.deepEqual(absolute.shape, x.shape);
  assertClose(await read(absolute), values.map((one, i) => one + noise[i]!), 1e-6, "absolute");
  assertClose(
    await read(relative),
    values.map((one, i) => one * (1 + noise[i]!)),
    1e-6,
    "relative",
  );
  run.dispose();
}, { oncePerBackend: true });

onEveryBackend("addNoise() adds standard deviations if standardized", async (mode) => {
  const values = normals(24, 3, 3).map((one) => one + 5);
  const x = tensor(values, [2, 3, 4]);
  const seed = seedOf(1, 2);
  const noise = await read(addNoise(zeros([2, 3, 4]), NOISE, seed));
  const qat = { ...NOISE, standardized: true };
  const run = mode.compile((x: Tensor, seed: Tensor) => {
    // A gradient through the deviation would not be 1 everywhere.
    const { value, gradient } = valueAndGradient(({ x }) => sum(addNoise(x, qat, seed)), { x });
    return { value, gradient: gradient.x, noisy: addNoise(x, qat, seed) };
  });
  const { gradient, noisy } = run(x, seed);
  const center = mean(values);
  const deviation = Math.sqrt(mean(values.map((one) => (one - center) ** 2)));
  assertClose(
    await read(noisy),
    values.map((one, i) => one + deviation * noise[i]!),
    1e-6,
    "standardized",
  );
  assert.deepEqual([...await read(gradient)], new Array(24).fill(1));
  run.dispose();
}, { oncePerBackend: true });

Deno.test("needsNoise() of noise alone", () => {
  assert.equal(needsNoise(undefined), false);
  assert.equal(needsNoise(ROUNDING), false);
  for (const at of ["embedding", "residual", "outputs", "weights"] as const) {
    assert.equal(needsNoise({ ...NOISE, at }), true);
  }
});

onEveryBackend("quantizationHooks() of the embedding are of no module", async () => {
  const params = livelyModel(AUGMENTED["transformer EEM"]);
  const seed = seedOf(3, 4);
  const { hook, ...rest } = quantizationHooks(NOISE, params, seed);
  assert.deepEqual(rest, {});
  const expected = await read(addNoise(zeros([64]), NOISE, seed));
  assert.deepEqual(await noiseOf(hook!), expected);

  const rounded = quantizationHooks(ROUNDING, params, undefined);
  assert.deepEqual(Object.keys(rounded), ["hook"]);
  const x = tensor(normals(64, 1));
  assert.deepEqual(
    await read(rounded.hook!(x)),
    await read(fakeQuantize({ format: "e4m3fn" })(x)),
  );
}, { only: ["cpu"] });

onEveryBackend("quantizationHooks() of the residual halve the noise ahead of down", async () => {
  const params = livelyModel(AUGMENTED["mixer EEM"]);
  for (const [oneSided, relative] of [[false, false], [true, false], [false, true], [true, true]]) {
    const qat: NoiseInjection = {
      ...NOISE,
      at: "residual",
      oneSided: oneSided!,
      relative: relative!,
    };
    const { hook, hooks } = quantizationHooks(qat, params, seedOf(3, 4));
    assert.equal(hook, undefined);
    assert.deepEqual(Object.keys(hooks!), ["down"]);
    assert.deepEqual(Object.keys(hooks!["down"]!), ["input"]);
    const x = ones([64]);
    const whole = await read(sub(addNoise(x, qat, seedOf(3, 4)), x));
    const found = await read(sub(hooks!["down"]!.input!(x), x));
    assertClose(found, whole.map((one) => one / 2), 1e-6, `${oneSided}, ${relative}`);
    assert.ok(Math.max(...found) > 0.1);
  }
}, { only: ["cpu"] });

/** The hooks of each module at the only site that has one. */
function siteHooks(hooks: Hooks, site: "output" | "weight"): ((x: Tensor) => Tensor)[] {
  return Object.values(hooks).map((ofModule) => {
    assert.deepEqual(Object.keys(ofModule), [site]);
    return ofModule[site]!;
  });
}

for (const [at, site] of [["outputs", "output"], ["weights", "weight"]] as const) {
  onEveryBackend(
    `quantizationHooks() of ${at} have noise of their own in every module`,
    async () => {
      for (const [name, config] of Object.entries(TINY_MODELS)) {
        const params = livelyModel(config);
        const names = moduleNames(params);
        // A key that passes the largest int32 number with the modules' numbers.
        const seed = seedOf(2 ** 31 - 3, 9);
        const { hook, hooks } = quantizationHooks({ ...NOISE, at }, params, seed);
        assert.equal(hook, undefined);
        assert.deepEqual(Object.keys(hooks!), names, name);
        const drawn: string[] = [];
        for (const [index, hook] of siteHooks(hooks!, site).entries()) {
          const noise = await noiseOf(hook);
          const own = seedOf((2 ** 31 - 3 + index) | 0, 9);
          assert.deepEqual(noise, await read(addNoise(zeros([64]), NOISE, own)), name);
          drawn.push(noise.join());
        }
        assert.equal(new Set(drawn).size, names.length);
      }
    },
    { only: ["tensorflow eager", "wasm", "cpu"] },
  );

  onEveryBackend(`quantizationHooks() of ${at} are of the modules that are named`, async () => {
    const params = livelyModel(AUGMENTED["mixer EEM"]);
    const named = { ...NOISE, at, modules: ["up", "decoder.head", "encoder.blocks.1.mix"] };
    const { hooks } = quantizationHooks(named, params, seedOf(3, 4));
    const inOrder = ["encoder.blocks.1.mix", "up", "decoder.head"];
    assert.deepEqual(Object.keys(hooks!), inOrder);
    for (const [index, hook] of siteHooks(hooks!, site).entries()) {
      const expected = await read(addNoise(zeros([64]), NOISE, seedOf(3 + index, 4)));
      assert.deepEqual(await noiseOf(hook), expected);
    }
    const all = quantizationHooks({ ...NOISE, at, modules: "all" }, params, seedOf(3, 4));
    assert.deepEqual(Object.keys(all.hooks!), moduleNames(params));
    assert.match(
      refusal(() =>
        quantizationHooks({ ...named, modules: ["up", "upper"] }, params, seedOf(3, 4))
      ),
      /^module upper: expected one of encoder\.embedding, .* found none of that name$/,
    );

    const x = tensor(normals(64, 1), [16, 4]);
    const quantization = { format: "int4", scaling: "row" } as const;
    const rounding: QuantizationAwareTraining = { ...ROUNDING, quantization, at, modules: ["up"] };
    const rounded = quantizationHooks(rounding, params, undefined);
    assert.deepEqual(Object.keys(rounded.hooks!), ["up"]);
    const [hook] = siteHooks(rounded.hooks!, site);
    assert.deepEqual(await read(hook!(x)), await read(fakeQuantize(quantization)(x)));
  }, { only: ["cpu"] });
}

onEveryBackend("quantizationHooks() draw anew whenever a module is used again", async () => {
  const params = livelyModel(CAUSAL["LSTM CLM"]);
  const count = moduleNames(params).length;
  const { hooks } = quantizationHooks({ ...NOISE, at: "outputs" }, params, seedOf(3, 4));
  const drawn: string[] = [];
  for (let use = 0; use < 5; use++) {
    for (const [index, hook] of siteHooks(hooks!, "output").entries()) {
      const noise = await noiseOf(hook);
      const own = seedOf(3 + index + count * use, 4);
      assert.deepEqual(noise, await read(addNoise(zeros([64]), NOISE, own)));
      drawn.push(noise.join());
    }
  }
  assert.equal(new Set(drawn).size, 5 * count);
}, { only: ["cpu"] });

Deno.test("checkQuantizationAwareTraining() takes what there is", () => {
  const modules = [undefined, "all", ["up"]] as const;
  for (const at of ["embedding", "outputs", "weights"] as const) {
    for (const qat of [{ ...NOISE, at }, { ...ROUNDING, at }]) {
      checkQuantizationAwareTraining(qat);
      if (at === "embedding") continue;
      for (const some of modules) {
        checkQuantizationAwareTraining({ ...qat, ...(some && { modules: some }) });
      }
    }
  }
  checkQuantizationAwareTraining({ ...NOISE, at: "residual", oneSided: true, width: 1e-9 });
});

Deno.test("checkQuantizationAwareTraining() says what a field should be", () => {
  const refused = (qat: object) =>
    refusal(() => checkQuantizationAwareTraining(qat as QuantizationAwareTraining));
  for (const method of ["gaussian", undefined]) {
    assert.equal(
      refused({ ...NOISE, method }),
      `qat.method: expected noise or fake-quantization, found ${method}`,
    );
  }
  assert.equal(
    refused({ ...NOISE, relative: true, standardized: true }),
    "qat: expected relative or standardized noise, found both; leave one out",
  );
  assert.equal(
    refused({ ...NOISE, at: "everywhere" }),
    "qat.at: expected one of embedding, outputs, weights, residual with noise, found everywhere",
  );
  for (const at of ["residual", undefined]) {
    assert.equal(
      refused({ ...ROUNDING, at }),
      "qat.at: expected one of embedding, outputs, weights with fake-quantization, " +
        `found ${at}`,
    );
  }
  for (const at of ["embedding", "residual"] as const) {
    assert.equal(
      refused({ ...NOISE, at, modules: ["up", "down"] }),
      `qat.modules: expected none at ${at}, found up,down; leave them out`,
    );
  }
  for (const modules of [[], "up", 3, {}]) {
    assert.equal(
      refused({ ...NOISE, at: "weights", modules }),
      `qat.modules: expected all or a list of names, found ${JSON.stringify(modules)}`,
    );
  }
  for (const width of [0, -0.125, NaN, Infinity, undefined]) {
    assert.equal(
      refused({ ...NOISE, width }),
      `qat.width: expected a positive number, found ${width}`,
    );
  }
  assert.match(
    refused({ ...ROUNDING, quantization: { format: "e4m4" } }),
    /^quantization: expected .*e4m3fn.*, found "e4m4"$/,
  );
  assert.match(
    refused({ ...ROUNDING, quantization: { format: "int8", scaling: "column" } }),
    /^quantization int8: expected scaling .*, found column$/,
  );
});
