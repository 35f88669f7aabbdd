import assert from "node:assert/strict";
import { countElements, disposeTree, type Tree } from "../../lib/engine/mod.ts";
import {
  decodingParameterCount,
  EXPANSIONS,
  initModel,
  JOINS,
  type ModelConfig,
  parameterCount,
} from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { onEveryBackend } from "../_backends.ts";
import { GOLDEN_NAMES, loadGolden } from "./_golden.ts";
import { LENGTH, lstm, mixer, type StackOf, TINY_MODELS, transformer, WIDTH } from "./_tiny.ts";

/** Every stack option, alone and with others. */
const stacks: readonly StackOf[] = [
  ...[0, 1, 4].flatMap((headCount) =>
    [1, 2, 5].map((kernelSize) => (length: number) => mixer(length, { headCount, kernelSize }))
  ),
  ...(["rotary", "learned"] as const).flatMap((positions) =>
    [true, false].map((finalNorm) => (length: number) =>
      transformer(length, { positions, finalNorm, causal: finalNorm })
    )
  ),
  lstm,
];

const sizeOptions = [{}, { embeddingSize: 3 }];

/** Every kind, join and expansion, with and without compression, at equal and other widths. */
function* everyConfig(): Generator<ModelConfig> {
  for (const stack of stacks) {
    yield { kind: "causal", backbone: stack(LENGTH) };
    yield { kind: "causal", backbone: stack(LENGTH), headBias: true };
    yield { kind: "causal", backbone: stack(LENGTH), headBias: false };
    yield { kind: "second-order", backbone: stack(LENGTH), shift: false };
  }
  for (const [index, encoderOf] of stacks.entries()) {
    const encoder = encoderOf(LENGTH);
    // The next stack, so that most pairs are of different kinds.
    const decoderOf = stacks[(index + 1) % stacks.length]!;
    for (const size of sizeOptions) {
      for (const width of [WIDTH, 12]) {
        for (const expansion of EXPANSIONS) {
          const decoder = { ...decoderOf(LENGTH), width };
          yield { kind: "autoencoder", encoder, decoder, expansion, ...size };
        }
        for (const join of JOINS) {
          const decoder = { ...decoderOf(LENGTH + (join === "token" ? 1 : 0)), width };
          yield { kind: "augmented", memory: "zeros", join, decoder, ...size };
          if (join === "embedding" && width === WIDTH && size.embeddingSize === undefined) continue;
          yield { kind: "augmented", memory: "embedding", join, encoder, decoder, ...size };
        }
      }
    }
  }
}

onEveryBackend("parameterCount() counts the tree that initModel() makes", () => {
  const configs = [
    ...everyConfig(),
    ...Object.values(TINY_MODELS),
    ...GOLDEN_NAMES.map((name) => loadGolden(name).config),
  ];
  for (const config of configs) {
    const params = initModel(config, createRandom(1));
    assert.equal(parameterCount(config), countElements(params), JSON.stringify(config));
    disposeTree(params);
  }
}, { only: ["cpu"] });

onEveryBackend("decodingParameterCount() leaves out what only makes the embedding", () => {
  const smaller = new Set<string>();
  for (const config of [...everyConfig(), ...Object.values(TINY_MODELS)]) {
    const params = initModel(config, createRandom(1));
    const { encoder: _, down: __, ...others } = params as Readonly<Record<string, Tree>>;
    const expected = config.kind === "augmented" ? countElements(others) : countElements(params);
    assert.equal(decodingParameterCount(config), expected, JSON.stringify(config));
    if (config.kind === "augmented" && expected < countElements(params)) {
      smaller.add(config.join ?? "token");
    }
    disposeTree(params);
  }
  assert.deepEqual([...smaller].sort(), [...JOINS].sort());
}, { only: ["cpu"] });
