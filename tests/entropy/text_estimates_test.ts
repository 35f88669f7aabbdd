import assert from "node:assert/strict";
import { disposeTree, memory, tensor } from "../../lib/engine/mod.ts";
import {
  type EstimatedModel,
  estimateText,
  estimateWindows,
  type EstimatorName,
} from "../../lib/entropy/mod.ts";
import { windowStarts } from "../../lib/entropy/text_estimates.ts";
import { UserError } from "../../lib/errors.ts";
import { type BackboneConfig, type ModelConfig, modelLogits } from "../../lib/models/mod.ts";
import { type Tokenizer, trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";
import { livelyModel } from "../models/_tiny.ts";

const VOCABULARY = 262;
const TEXT = "the state of the union: 🙂 the states and the people — a state, the union.";

const tokenizer = trainTokenizer([TEXT.repeat(3)], { vocabSize: VOCABULARY });
const { padId } = tokenizer;

/** The first `count` tokens of the text; how many they are as a text of their own may differ. */
const beginning = (count: number) => tokenizer.decode(tokenizer.encode(TEXT).subarray(0, count));

type Architecture = "mixer" | "transformer";

function stack(architecture: Architecture, contextLength: number, width = 8): BackboneConfig {
  const shared = { vocabSize: VOCABULARY, contextLength, width, layerCount: 2 };
  return architecture === "mixer"
    ? { architecture, ...shared }
    : { architecture, ...shared, headCount: 2 };
}

function causal(architecture: Architecture, contextLength: number, seed = 1): EstimatedModel {
  const config: ModelConfig = { kind: "causal", backbone: stack(architecture, contextLength) };
  return { config, params: livelyModel(config, seed), padId: null };
}

function augmented(
  architecture: Architecture,
  contextLength: number,
  padId: number | null,
): EstimatedModel {
  const config: ModelConfig = {
    kind: "augmented",
    memory: "embedding",
    encoder: stack(architecture, contextLength, 4),
    decoder: stack(architecture, contextLength + 1),
    embeddingSize: 2,
  };
  return { config, params: livelyModel(config), padId };
}

/** The losses, nats, of tokens 1 … N − 1 of a sample, from its logits in double precision. */
async function sampleLosses(model: EstimatedModel, sample: Int32Array): Promise<number[]> {
  const idsNB = tensor(sample, [sample.length, 1], "int32");
  const logits = await read(modelLogits(model.config, model.params, idsNB, { padId: model.padId }));
  return Array.from({ length: sample.length - 1 }, (_, t) => {
    const row = logits.subarray(t * VOCABULARY, (t + 1) * VOCABULARY);
    const total = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
    return Math.log(total) - row[sample[t + 1]!]!;
  });
}

/** Where the window starts that must give token `position`: the definition, without cleverness. */
function startFor(position: number, textLength: number, contextLength: number): number {
  const half = Math.floor(contextLength / 2) || 1;
  for (let start = 0; start + contextLength < textLength; start += half) {
    if (position < start + contextLength) return start;
  }
  return Math.max(0, textLength - contextLength);
}

/** `tokenizer` with another pad id: what short texts are filled up with. */
function withPadId(padId: number): Tokenizer {
  return Object.create(tokenizer, { padId: { value: padId } });
}

async function refusalOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(() => assert.fail("expected an error"), (error) => error);
  assert.ok(error instanceof UserError, String(error));
  assert.doesNotMatch(error.message, /\n/);
  return error.message;
}

onEveryBackend("estimateText() of a causal loss equals one forward per token", async () => {
  for (const architecture of ["mixer", "transformer"] as const) {
    for (const length of [5, 8]) {
      const model = causal(architecture, length);
      // Shorter than, as long as and longer than one window, with rests of every kind.
      for (const count of [2, length - 1, length, length + 1, 2 * length, 3 * length + 1]) {
        const text = beginning(count);
        const ids = tokenizer.encode(text);
        const found = await estimateText("loss", model, tokenizer, text);
        assert.deepEqual(found.map((token) => token.id), [...ids]);
        assert.deepEqual(found.map((token) => token.position), [...ids.keys()]);
        assert.equal(found[0]!.estimate, null);
        for (const { position, estimate, standardError } of found.slice(1)) {
          const start = startFor(position, ids.length, length);
          const sample = new Int32Array(length).fill(17); // what stands behind it does not matter
          sample.set(ids.subarray(start, position + 1));
          const expected = (await sampleLosses(model, sample))[position - start - 1]!;
          assert.ok(
            Math.abs(estimate! - expected) < 1e-4,
            `${architecture}, N = ${length}, token ${position} of ${ids.length}: ${estimate}, not ${expected}`,
          );
          assert.equal(standardError, null);
        }
      }
    }
  }
}, { only: ["tensorflow graph", "wasm"] });

Deno.test("windowStarts() lets every token count with N/2 tokens before it", () => {
  for (const contextLength of [2, 3, 4, 5, 8, 9]) {
    for (let textLength = 2; textLength < 5 * contextLength; textLength++) {
      const starts = windowStarts(textLength, { contextLength, shortText: "first" });
      if (textLength <= contextLength) {
        assert.deepEqual(starts, [0]);
        continue;
      }
      assert.equal(starts[0], 0);
      assert.equal(starts.at(-1)! + contextLength, textLength, "the last ends with the text");
      let reached = contextLength;
      for (const start of starts.slice(1)) {
        assert.ok(reached - start >= contextLength / 2, `${reached} of the window at ${start}`);
        assert.ok(start + contextLength > reached, "it holds tokens of its own");
        reached = start + contextLength;
      }
    }
  }
  assert.deepEqual(windowStarts(3, { contextLength: 8, shortText: "last" }), [-5]);
  assert.deepEqual(windowStarts(10, { contextLength: 8, stride: 1, shortText: null }), [0, 1, 2]);
});

onEveryBackend(
  "estimateText() does not depend on what a short text is filled with",
  async () => {
    for (const architecture of ["mixer", "transformer"] as const) {
      const model = causal(architecture, 16);
      for (const text of ["the state", TEXT]) {
        const expected = await estimateText("loss", model, withPadId(1), text);
        for (const padId of [0, 40, VOCABULARY - 1]) {
          const found = await estimateText("loss", model, withPadId(padId), text);
          assert.deepEqual(found, expected);
        }
      }
    }
  },
  { only: ["tensorflow graph", "wasm"] },
);

onEveryBackend("estimateText() of an augmented model reads whole windows of the text", async () => {
  const length = 8;
  for (const architecture of ["mixer", "transformer"] as const) {
    const model = augmented(architecture, length, null);
    for (const count of [length, length + 3, 3 * length + 1]) {
      const ids = tokenizer.encode(beginning(count));
      const found = await estimateText("loss", model, tokenizer, beginning(count));
      assert.ok(ids.length >= length);
      for (const { position, estimate } of found.slice(1)) {
        const start = startFor(position, ids.length, length);
        const losses = await sampleLosses(model, ids.slice(start, start + length));
        assertClose([estimate!], [losses[position - start - 1]!], 1e-4, `token ${position}`);
      }
    }
  }
}, { only: ["tensorflow graph", "wasm"] });

onEveryBackend("estimateText() puts pads before a short text where training did", async () => {
  const length = 16;
  const text = "the state";
  const ids = tokenizer.encode(text);
  assert.ok(ids.length > 2 && ids.length < length);
  for (const architecture of ["mixer", "transformer"] as const) {
    const model = augmented(architecture, length, padId);
    const sample = new Int32Array(length).fill(padId);
    sample.set(ids, length - ids.length);
    const losses = await sampleLosses(model, sample);
    const found = await estimateText("loss", model, tokenizer, text);
    assert.equal(found[0]!.estimate, null);
    assertClose(
      found.slice(1).map((token) => token.estimate!),
      losses.slice(length - ids.length),
      1e-4,
      architecture,
    );
  }
}, { only: ["tensorflow graph", "wasm"] });

onEveryBackend("estimateText() by two windows gives every token from N − 1 on", async () => {
  const length = 6;
  const [model, shorter] = [causal("mixer", length), causal("transformer", length - 1)];
  const ids = tokenizer.encode(TEXT);
  const found = await estimateText("two-window", model, tokenizer, TEXT, { shorter });
  assert.ok(ids.length > 2 * length);
  const sum = (losses: number[]) => losses.reduce((total, loss) => total + loss, 0);
  for (const { position, estimate } of found) {
    if (position < length - 1) {
      assert.equal(estimate, null);
      continue;
    }
    const window = ids.slice(position + 1 - length, position + 1);
    const whole = sum(await sampleLosses(model, window));
    const before = sum(await sampleLosses(shorter, window.slice(0, -1)));
    assertClose([estimate!], [whole - before], 1e-4, `token ${position}`);
  }
}, { only: ["tensorflow graph"] });

onEveryBackend("estimateText() gives the mean of several models and its error", async () => {
  const models = [causal("mixer", 8, 1), causal("mixer", 8, 2), causal("transformer", 5, 3)];
  const each = await Promise.all(
    models.map((model) => estimateText("loss", model, tokenizer, TEXT)),
  );
  const found = await estimateText("loss", models, tokenizer, TEXT);
  assert.equal(found.length, each[0]!.length);
  found.forEach((token, position) => {
    const alone = each[0]![position]!;
    assert.deepEqual({ ...token, estimate: 0, standardError: 0 }, {
      ...alone,
      estimate: 0,
      standardError: 0,
    });
    if (position === 0) {
      assert.equal(token.estimate, null);
      assert.equal(token.standardError, null);
      return;
    }
    const [a, b, c] = each.map((records) => records[position]!.estimate!) as [
      number,
      number,
      number,
    ];
    const mean = (a + b + c) / 3;
    const variance = ((a - mean) ** 2 + (b - mean) ** 2 + (c - mean) ** 2) / 2;
    assertClose([token.estimate!], [mean], 1e-6, "mean");
    assertClose([token.standardError!], [Math.sqrt(variance / 3)], 1e-6, "standard error");
  });
}, { only: ["cpu"] });

onEveryBackend("estimateText() labels tokens, cut characters too, with their bytes", async () => {
  const text = "the 🙂";
  const found = await estimateText("loss", causal("mixer", 8), tokenizer, text);
  const ids = tokenizer.encode(text);
  assert.deepEqual(
    found.map((token) => token.text),
    Array.from(ids, (id) => tokenizer.tokenText(id)),
  );
  assert.ok(found.some((token) => token.text.includes("\ufffd")));
  assert.deepEqual(
    found.flatMap((token) => [...token.bytes!]),
    [...new TextEncoder().encode(text)],
  );
}, { only: ["cpu"] });

onEveryBackend(
  "estimateText() reads in parts, tells how far it is, and frees tensors",
  async () => {
    const model = augmented("transformer", 8, padId);
    const before = memory().numTensors;
    for (const [name, perWindow] of [["loss", 8], ["pad-shift", 64]] as const) {
      const whole = await estimateText(name, model, tokenizer, TEXT);
      const told: [number, number][] = [];
      const parts = await estimateText(name, model, tokenizer, TEXT, {
        tokensAtOnce: 3 * perWindow + 1,
        onProgress: (done, total) => void told.push([done, total]),
      });
      const total = windowStarts(whole.length, { contextLength: 8, shortText: null }).length;
      assert.ok(total > 6);
      assert.deepEqual(
        told,
        Array.from(
          { length: Math.ceil(total / 3) },
          (_, at) => [Math.min(3 * at + 3, total), total],
        ),
      );
      assertClose(
        parts.map(({ estimate }) => estimate ?? 0),
        whole.map(({ estimate }) => estimate ?? 0),
        1e-5,
        name,
      );
      assert.equal(memory().numTensors, before);
    }
    disposeTree(model.params);
  },
  { only: ["tensorflow graph", "wasm"] },
);

onEveryBackend(
  "estimateText() gives what estimateWindows() gives of a text of N tokens",
  async () => {
    const length = tokenizer.encode(TEXT).length;
    const model = augmented("transformer", length, padId);
    const windows = { contextLength: length, count: 1, ids: tokenizer.encode(TEXT) };
    const names: readonly EstimatorName[] = ["pad-shift", "occlusion-cosine", "gradient-input"];
    for (const name of names) {
      const [row] = await estimateWindows(name, model, windows);
      const found = await estimateText(name, model, tokenizer, TEXT);
      assert.deepEqual(found.map(({ estimate }) => estimate), row);
    }
  },
  { only: ["tensorflow graph"] },
);

onEveryBackend("estimateText() refuses what it cannot read", async () => {
  const model = causal("mixer", 8);
  for (const [text, count] of [["", 0], ["t", 1]] as const) {
    assert.equal(
      await refusalOf(estimateText("loss", model, tokenizer, text)),
      `expected a text of two tokens or more, found ${count}; add text`,
    );
  }
  const packed = augmented("mixer", 8, null);
  const short = "the st";
  const { length } = tokenizer.encode(short);
  const expected = "expected a text of 8 tokens or more, the context of a model that reads full " +
    `windows alone, found ${length}; add text, or train a model with a shorter context or, if it ` +
    "is an augmented one, on padded samples";
  assert.ok(length > 1 && length < 8);
  assert.equal(await refusalOf(estimateText("loss", packed, tokenizer, short)), expected);
  assert.equal(
    await refusalOf(
      estimateText("two-window", model, tokenizer, short, { shorter: causal("mixer", 7) }),
    ),
    expected,
  );
  assert.match(await refusalOf(estimateText("pad-shift", model, tokenizer, TEXT)), /^pad-shift: /);
  assert.match(
    await refusalOf(estimateText("two-window", model, tokenizer, TEXT)),
    /^two-window: /,
  );
  assert.match(await refusalOf(estimateText("loss", [], tokenizer, TEXT)), /found none$/);
  assert.match(
    await refusalOf(estimateText("loss", model, tokenizer, TEXT, { shorter: model })),
    /^loss: expected no shorter model, /,
  );
  assert.equal(
    await refusalOf(
      estimateText("two-window", [model, model], tokenizer, TEXT, { shorter: causal("mixer", 7) }),
    ),
    "two-window: expected a shorter model for each of 2, found 1",
  );
}, { only: ["cpu"] });

onEveryBackend("estimateText() refuses the tokenizer of another model", async () => {
  const model = causal("mixer", 8);
  // One entry fewer or more: every id of the text may still be one that the model knows.
  for (const size of [VOCABULARY - 1, VOCABULARY + 1]) {
    const other = trainTokenizer([TEXT.repeat(3)], { vocabSize: size });
    assert.equal(other.vocabSize, size);
    assert.equal(
      await refusalOf(estimateText("loss", model, other, TEXT)),
      `expected the model's tokenizer, of ${VOCABULARY} entries, found one of ${size}; ` +
        "use the one that lies beside the model's weights",
    );
  }
}, { only: ["cpu"] });
