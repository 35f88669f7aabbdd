import assert from "node:assert/strict";
import {
  checkModelSizes,
  EXPANSIONS,
  initModel,
  JOINS,
  type ModelConfig,
} from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { onEveryBackend } from "../_backends.ts";
import {
  augmented,
  autoencoder,
  EMBEDDING_SIZE,
  LENGTH,
  lstm,
  mixer,
  refusal,
  STACKS,
  TINY_MODELS,
  transformer,
} from "./_tiny.ts";

function messageOf(config: ModelConfig): string {
  return refusal(() => checkModelSizes(config));
}

Deno.test("checkModelSizes() takes every tiny model", () => {
  for (const [name, config] of Object.entries(TINY_MODELS)) {
    assert.doesNotThrow(() => checkModelSizes(config), name);
  }
});

const maskable = { mixer, transformer };

for (const [name, stackOf] of Object.entries(maskable)) {
  const unmasked = (length: number) => stackOf(length, { causal: false });
  const decoders = JOINS.flatMap((join) => {
    const config = augmented(mixer, unmasked, join);
    const { decoder } = config;
    const size = join === "embedding" ? { embeddingSize: EMBEDDING_SIZE } : {};
    return [config, { kind: "augmented", memory: "zeros", join, decoder, ...size } as const];
  });

  Deno.test(`checkModelSizes() refuses an unmasked ${name} that predicts next tokens`, () => {
    assert.equal(
      messageOf({ kind: "causal", backbone: unmasked(LENGTH) }),
      "backbone.causal: expected true, since the stack would see the tokens that it predicts, " +
        "found false; only autoencoders and the encoder of an EEM may go without a mask",
    );
    for (const shift of [false, true]) {
      assert.equal(
        messageOf({ kind: "second-order", backbone: unmasked(LENGTH), shift }),
        "backbone.causal: expected true, since the stack would see the tokens that come after a " +
          "rated one, found false; only autoencoders and the encoder of an EEM may go without a mask",
      );
    }
    for (const config of decoders) {
      assert.match(messageOf(config), /^decoder\.causal: expected true, .*, found false;/);
    }
  });

  Deno.test(`checkModelSizes() takes an unmasked ${name} that encodes or gives back`, () => {
    for (const expansion of EXPANSIONS) checkModelSizes(autoencoder(unmasked, unmasked, expansion));
    for (const join of JOINS) checkModelSizes(augmented(unmasked, stackOf, join));
  });

  // Tests of the mask need models that leak.
  onEveryBackend(`initModel() makes an unmasked ${name} all the same`, () => {
    const causal = { kind: "causal", backbone: unmasked(LENGTH) } as const;
    for (const config of [causal, ...decoders]) initModel(config, createRandom(1));
  }, { only: ["cpu"] });
}

for (const [name, stackOf] of Object.entries(STACKS)) {
  Deno.test(`checkModelSizes() refuses a ${name} without a token to predict`, () => {
    /** Everything that predicts next tokens, of so many. */
    const configsOf = (length: number) => {
      const backbone = stackOf(length);
      const configs: ModelConfig[] = [
        { kind: "causal", backbone },
        { kind: "second-order", backbone, shift: false },
      ];
      for (const join of JOINS) {
        const decoder = { ...stackOf(length + (join === "token" ? 1 : 0)), width: 12 };
        const size = join === "embedding" ? { embeddingSize: EMBEDDING_SIZE } : {};
        const shared = { kind: "augmented", join, decoder, ...size } as const;
        configs.push({ ...shared, memory: "zeros" });
        configs.push({ ...shared, memory: "embedding", encoder: stackOf(length) });
      }
      return configs;
    };
    for (const config of configsOf(2)) checkModelSizes(config);
    const [causal, secondOrder, ...others] = configsOf(1).map(messageOf);
    assert.equal(secondOrder, causal);
    assert.equal(
      causal,
      "backbone.contextLength: expected at least 2, since the first token of a sample is not " +
        "scored, found 1",
    );
    const least = others.map((message) =>
      /^decoder\.contextLength: expected at least (\d), .* found (\d)$/.exec(message)!.slice(1)
    );
    // A memory slot of the token join comes on top, in the EEM and in its twin.
    assert.deepEqual(least.map(String), ["3,2", "3,2", "2,1", "2,1", "2,1", "2,1"]);
  });
}

Deno.test("checkModelSizes() takes autoencoders of one token, read where it is", () => {
  const short = () => mixer(1);
  const config = autoencoder(short, short, "repeat");
  checkModelSizes(config);
  checkModelSizes({ ...config, readPosition: -1 });
  assert.equal(
    messageOf({ ...config, readPosition: -2 }),
    "readPosition: expected -1, the only position of one token, found -2",
  );
});

Deno.test("checkModelSizes() refuses zeros whose number is missing or means nothing", () => {
  const zeros = { kind: "augmented", memory: "zeros" } as const;
  const embeddingSize = EMBEDDING_SIZE;
  assert.equal(
    messageOf({ ...zeros, join: "embedding", decoder: mixer(LENGTH) }),
    "embeddingSize: expected the number of zeros to join to each token, found nothing",
  );
  const message = (join: string) =>
    `embeddingSize: expected none, since zeros with a ${join} join are as wide as the decoder, found 3`;
  const token = { ...zeros, decoder: mixer(LENGTH + 1), embeddingSize };
  assert.equal(messageOf(token), message("token"));
  assert.equal(messageOf({ ...token, join: "token" }), message("token"));
  assert.equal(
    messageOf({ ...zeros, join: "linear", decoder: mixer(LENGTH), embeddingSize }),
    message("linear"),
  );
});

Deno.test("checkModelSizes() refuses an inner embedding of what has none", () => {
  for (const encoder of [mixer, lstm]) {
    const config = autoencoder(encoder, transformer, "unroll");
    checkModelSizes({ ...config, embedding: "outer" });
    assert.equal(
      messageOf({ ...config, embedding: "inner" }),
      `embedding: expected "outer", the only one that an encoder of architecture ${
        encoder(1).architecture
      } has, found "inner"`,
    );
  }
  checkModelSizes({ ...autoencoder(transformer, mixer, "unroll"), embedding: "inner" });
});
