import assert from "node:assert/strict";
import { mapTree, mul, sum, type Tensor, tensor, valueAndGradient } from "../../lib/engine/mod.ts";
import {
  type AutoencoderConfig,
  EXPANSIONS,
  initAutoencoder,
  type Model,
  modelLogits,
  unrollWindows,
} from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { type Mode, onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";
import { assertDependence, type LogitsOf, logitsWith } from "./_causality.ts";
import {
  autoencoder,
  BATCH,
  leftPadded,
  LENGTH,
  livelyModel,
  mixer,
  PAD,
  PAIRS,
  refusal,
  tinyIds,
  transformer,
  VOCABULARY,
  WIDTH,
  withOtherPad,
} from "./_tiny.ts";

const once = { oncePerBackend: true };
const cpu = { only: ["cpu"] };

function logitsOf(
  mode: Mode,
  config: AutoencoderConfig,
  params: Model,
  padId: number | null = null,
): LogitsOf {
  return logitsWith(mode, (idsNB) => modelLogits(config, params, idsNB, { padId }));
}

/** Channel `(i + j) mod D` of sample b, for window i and its channel j: the index into e `[B, D]`. */
function windowSources(length: number, batch: number, width: number): number[] {
  const sources: number[] = [];
  for (let i = 0; i < length; i++) {
    for (let b = 0; b < batch; b++) {
      const channels = Array.from({ length: width }, (_, channel) => b * width + channel);
      const turns = i % width;
      const turned = [...channels.slice(turns), ...channels.slice(0, turns)];
      sources.push(...turned.slice(0, width / 2));
    }
  }
  return sources;
}

// Fewer windows than channels, as many, and more: they begin anew after D.
for (const length of [4, 6, 15]) {
  onEveryBackend(`unrollWindows() turns 6 channels ${length} times`, async (mode) => {
    const [batch, width] = [2, 6];
    const e = normals(batch * width, 1);
    const weights = normals(length * batch * width / 2, 2);
    const sources = windowSources(length, batch, width);
    const run = mode.compile((eBD: Tensor, weightsNBH: Tensor) => ({
      windows: unrollWindows(eBD, length),
      ...valueAndGradient(({ eBD }) => sum(mul(unrollWindows(eBD, length), weightsNBH)), { eBD }),
    }));
    const shape = [length, batch, width / 2];
    const { windows, gradient } = run(tensor(e, [batch, width]), tensor(weights, shape));
    assert.deepEqual(windows.shape, shape);
    assert.deepEqual([...await read(windows)], sources.map((source) => e[source]));
    const expected = new Float64Array(e.length);
    sources.forEach((source, at) => expected[source]! += weights[at]!);
    assertClose(await read(gradient.eBD), expected, 1e-6, "gradient");
    run.dispose();
  });
}

onEveryBackend(
  "autoencoderLogits() read the last encoder state but one where told to",
  async (mode) => {
    for (const encoder of [mixer, transformer]) {
      const config = { ...autoencoder(encoder, mixer, "repeat"), readPosition: -2 } as const;
      const logits = logitsOf(mode, config, livelyModel(config));
      await assertDependence(logits, LENGTH, (token) => token < LENGTH - 1);
    }
  },
  once,
);

for (const expansion of EXPANSIONS) {
  const configs = Object.entries(PAIRS).map(([pair, [encoder, decoder]]) =>
    [pair, autoencoder(encoder, decoder, expansion)] as const
  );

  onEveryBackend(
    `autoencoderLogits() of ${expansion}ed models depend on every token`,
    async (mode) => {
      for (const [pair, config] of configs) {
        const params = livelyModel(config);
        const logits = logitsOf(mode, config, params);
        assert.equal((await logits(tinyIds())).length, LENGTH * BATCH * VOCABULARY, pair);
        await assertDependence(logits, LENGTH, () => true, pair);
      }
    },
    once,
  );

  onEveryBackend(
    `autoencoderLogits() of ${expansion}ed models know tokens by the last state alone`,
    async (mode) => {
      for (const encoder of [mixer, transformer]) {
        const config = autoencoder(encoder, mixer, expansion);
        for (const causal of [true, false]) {
          // An encoder that mixes nothing: its last state knows its own token only.
          const params = mapTree(
            livelyModel(config),
            (leaf, name) =>
              /^encoder\..*(mix|attention\.output)\.weight$/.test(name)
                ? tensor(new Float32Array(leaf.size), leaf.shape)
                : leaf,
          );
          const unmixed = { ...config, encoder: encoder(LENGTH, { causal }) };
          const isLast = (token: number) => token === LENGTH - 1;
          const what = `${encoder.name}, causal: ${causal}`;
          await assertDependence(logitsOf(mode, unmixed, params), LENGTH, isLast, what);
        }
      }
    },
    once,
  );
}

onEveryBackend(
  "autoencoderLogits() tell positions apart only by what differs there",
  async (mode) => {
    const differs = async (config: AutoencoderConfig) => {
      const params = livelyModel(config);
      const logits = await logitsOf(mode, config, params)(tinyIds());
      const [first, ...others] = Array.from(
        { length: LENGTH },
        (_, t) => logits.subarray(t * BATCH * VOCABULARY, (t + 1) * BATCH * VOCABULARY),
      );
      return others.map((one) => one.some((logit, i) => Math.abs(logit - first![i]!) > 1e-4));
    };
    // Attention over one repeated vector gives that vector everywhere, whatever the scores (§8).
    const [none, all] = [false, true].map((one) => new Array(LENGTH - 1).fill(one));
    assert.deepEqual(await differs(autoencoder(mixer, transformer, "repeat")), none, "rotary");
    const learned = (length: number) => transformer(length, { positions: "learned" });
    assert.deepEqual(await differs(autoencoder(mixer, learned, "repeat")), all, "learned");
    assert.deepEqual(await differs(autoencoder(mixer, transformer, "unroll")), all, "unrolled");
    assert.deepEqual(await differs(autoencoder(transformer, mixer, "repeat")), all, "mixer");
  },
  once,
);

onEveryBackend("autoencoderLogits() of transformers do not see what a pad is", async (mode) => {
  for (const expansion of EXPANSIONS) {
    const config = autoencoder(transformer, transformer, expansion);
    const params = livelyModel(config);
    const before = await logitsOf(mode, config, params, PAD)(leftPadded(2));
    const after = await logitsOf(mode, config, withOtherPad(params), PAD)(leftPadded(2));
    assertClose(after, before, 1e-6, expansion);
  }
}, once);

onEveryBackend("autoencoderLogits() hide pads on either side from transformers", async (mode) => {
  for (const [pair, [encoder, decoder]] of Object.entries(PAIRS)) {
    const config = autoencoder(encoder, decoder, "unroll");
    const params = livelyModel(config);
    const hidden = await logitsOf(mode, config, params, PAD)(leftPadded(2));
    const seen = await logitsOf(mode, config, params)(leftPadded(2));
    const changed = Array.from({ length: LENGTH * BATCH }, (_, row) => {
      const of = (logits: Float32Array) =>
        logits.subarray(row * VOCABULARY, (row + 1) * VOCABULARY);
      return of(hidden).some((one, i) => Math.abs(one - of(seen)[i]!) > 1e-5);
    });
    const isHiding = encoder === transformer || decoder === transformer;
    // Rows of t, columns of samples: only the second one has pads.
    assert.deepEqual(changed, changed.map((_, row) => isHiding && row % BATCH === 1), pair);
  }
}, once);

onEveryBackend("initAutoencoder() has the layers that its sizes and expansion need", () => {
  const layers = (decoderWidth: number, options: Partial<AutoencoderConfig>) => {
    const decoder = mixer(LENGTH, { width: decoderWidth });
    const config = { kind: "autoencoder", encoder: mixer(LENGTH), expansion: "repeat" } as const;
    const model = initAutoencoder({ ...config, decoder, ...options }, createRandom(1));
    assert.ok(!("embedding" in model.decoder), "a decoder embeds no tokens");
    return Object.keys(model).filter((key) => key !== "encoder" && key !== "decoder").join(" ");
  };
  assert.equal(layers(WIDTH, {}), "");
  assert.equal(layers(12, {}), "bridge");
  assert.equal(layers(WIDTH, { embeddingSize: 3 }), "down up");
  assert.equal(layers(12, { embeddingSize: 3, expansion: "unroll" }), "bridge down up unroll");
}, cpu);

onEveryBackend("initAutoencoder() draws a transformer's embedding as it is told", async () => {
  const deviation = async (options: Partial<AutoencoderConfig>) => {
    const config = autoencoder(
      (length) => transformer(length, { vocabSize: 500 }),
      (length) => mixer(length, { vocabSize: 500 }),
      "repeat",
    );
    const { encoder } = initAutoencoder({ ...config, ...options }, createRandom(1));
    const values = await read(encoder.embedding.weight);
    return Math.sqrt(values.reduce((total, one) => total + one * one, 0) / values.length);
  };
  // Five standard errors of 4000 draws.
  assertClose([await deviation({})], [1], 0.06, "by default");
  assertClose([await deviation({ embedding: "outer" })], [1], 0.06, "outer");
  assertClose([50 * await deviation({ embedding: "inner" })], [1], 0.06, "inner");
}, cpu);

onEveryBackend("initAutoencoder() refuses sizes that do not fit", () => {
  const config = autoencoder(mixer, mixer, "unroll");
  const message = (changes: object) =>
    refusal(() => initAutoencoder({ ...config, ...changes }, createRandom(1)));
  assert.equal(
    message({ decoder: mixer(LENGTH + 1) }),
    "decoder.contextLength: expected the encoder's 5 tokens, found 6",
  );
  assert.match(message({ decoder: mixer(LENGTH, { width: 7 }) }), /^decoder\.width: .* even .* 7$/);
  assert.match(message({ decoder: mixer(LENGTH, { vocabSize: 7 }) }), /^decoder\.vocabSize: /);
  assert.match(message({ embeddingSize: 0 }), /^embeddingSize: expected a positive integer/);
}, cpu);
