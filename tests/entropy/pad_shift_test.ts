/** What pad-shift estimates are for any model, beside PyTorch's numbers of some (golden_test.ts). */

import assert from "node:assert/strict";
import { memory, tensor } from "../../lib/engine/mod.ts";
import {
  type EstimatedModel,
  isShiftable,
  padShiftEntropies,
  type PadShiftOptions,
  type WindowEstimates,
} from "../../lib/entropy/mod.ts";
import {
  type AugmentedDecoderConfig,
  JOINS,
  sampleLength,
  tokenLosses,
} from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import type { WindowIds } from "../../lib/text/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";
import {
  augmented,
  CAUSAL,
  LENGTH,
  lstm,
  mixer,
  PAD,
  type StackOf,
  transformer,
  VOCABULARY,
  WIDTH,
} from "../models/_tiny.ts";
import { assertEstimates, estimated, refusalOf } from "./_estimated.ts";

const once = { only: ["tensorflow graph", "wasm"] };

/** Lengths that batches of the fast form divide into several of up to three prefixes each. */
const LONG = 19;

function eem(
  encoder: StackOf,
  decoder: StackOf,
  changes: Partial<AugmentedDecoderConfig & { memory: "embedding" }> = {},
  length = LENGTH,
) {
  return { ...augmented(encoder, decoder, changes.join, length), ...changes } as const;
}

const learned: StackOf = (length) => transformer(length, { positions: "learned" });
const unmasked: StackOf = (length) => transformer(length, { causal: false });
const narrow: StackOf = (length) => transformer(length, { width: 4 });

const FAST: Readonly<Record<string, AugmentedDecoderConfig>> = {
  ...Object.fromEntries(
    JOINS.map((join) => [`${join} join`, eem(transformer, transformer, { join })]),
  ),
  "narrow encoder": eem(narrow, transformer),
  "equal widths": eem(transformer, transformer, {
    decoder: { ...transformer(LENGTH + 1), width: WIDTH },
  }),
  "long windows": eem(transformer, transformer, {}, LONG),
  "long windows, embedding join": eem(transformer, transformer, { join: "embedding" }, LONG),
};
const PLAIN: Readonly<Record<string, AugmentedDecoderConfig>> = {
  "the last position but one": eem(transformer, transformer, { readPosition: -2 }),
  "mixers": eem(mixer, mixer),
  "a mixer as encoder": eem(mixer, transformer),
  "a mixer as decoder": eem(transformer, mixer, { join: "linear" }),
  "LSTMs": eem(lstm, lstm),
  "learned positions, decoder": eem(transformer, learned),
  "learned positions, encoder": eem(learned, transformer),
  "an encoder that is not causal": eem(unmasked, transformer),
};

/** Seeded windows with so many real tokens each, padded on the left. */
function windowsOfLengths(contextLength: number, lengths: readonly number[]): WindowIds {
  const random = createRandom(7);
  const token = () => PAD + 1 + Math.floor((VOCABULARY - PAD - 1) * random.uniform());
  const rows = lengths.map((length) => [
    ...new Array<number>(contextLength - length).fill(PAD),
    ...Array.from({ length }, token),
  ]);
  return { contextLength, count: lengths.length, ids: Int32Array.from(rows.flat()) };
}

/** Windows with no pad, some, all but two, all but one, and nothing else. */
function mixedWindows(contextLength: number): WindowIds {
  return windowsOfLengths(contextLength, [contextLength, contextLength - 2, 2, 1, 0]);
}

/** Σ CE, nats, of a window's real tokens but the first: one evaluation of the whole model. */
async function summedLoss(
  { config, params, padId }: EstimatedModel,
  tokens: readonly number[],
): Promise<number> {
  if (tokens.length < 2) return 0;
  const length = sampleLength(config);
  const pads = length - tokens.length;
  const ids = tensor([...new Array(pads).fill(padId), ...tokens], [1, length], "int32");
  const losses = await read(tokenLosses(config, params, ids, { padId }).lossTB);
  return losses.subarray(pads).reduce((sum, loss) => sum + loss, 0);
}

function tokensOf({ contextLength, ids }: WindowIds, window: number): number[] {
  const row = ids.subarray(window * contextLength, (window + 1) * contextLength);
  return [...row].filter((id) => id !== PAD);
}

/** Differences of summed losses, prefix by prefix (paper §4.3). */
async function byPrefixes(model: EstimatedModel, windows: WindowIds): Promise<WindowEstimates> {
  const estimates: (number | null)[][] = [];
  for (let window = 0; window < windows.count; window++) {
    const tokens = tokensOf(windows, window);
    const sums: number[] = [];
    for (let length = 0; length <= tokens.length; length++) {
      sums.push(await summedLoss(model, tokens.slice(0, length)));
    }
    estimates.push([
      ...new Array<null>(windows.contextLength - tokens.length).fill(null),
      ...tokens.map((_, t) => t === 0 ? null : sums[t + 1]! - sums[t]!),
    ]);
  }
  return estimates;
}

for (const [kind, models] of Object.entries({ FAST, PLAIN })) {
  for (const [name, config] of Object.entries(models)) {
    onEveryBackend(`padShiftEntropies() are differences of summed losses: ${name}`, async () => {
      const isFast = kind === "FAST";
      assert.equal(isShiftable(config), isFast);
      const model = estimated(config, PAD);
      const windows = mixedWindows(sampleLength(config));
      const expected = await byPrefixes(model, windows);
      const run = (form: NonNullable<PadShiftOptions["form"]>) =>
        padShiftEntropies(model, windows, { form, batchSize: 4 });
      for (const form of ["plain", "auto"] as const) {
        assertEstimates(await run(form), expected, 1e-4, form);
      }
      if (isFast) assertEstimates(await run("fast"), expected, 1e-4, "fast");
      else {
        assert.equal(
          await refusalOf(() => run("fast")),
          "pad-shift, fast form: expected causal transformers with rotary positions on both " +
            "sides, read at the last position; use the plain form",
        );
      }
    }, once);
  }
}

const TRANSFORMERS = eem(transformer, transformer);
const FORMS = ["plain", "fast"] as const;

onEveryBackend(
  "padShiftEntropies() of a window add up to its loss, but the first token's",
  async () => {
    for (const config of [TRANSFORMERS, eem(mixer, lstm)]) {
      const model = estimated(config, PAD);
      const windows = mixedWindows(LENGTH);
      const estimates = await padShiftEntropies(model, windows);
      const totals = estimates.map((row) => row.reduce<number>((sum, one) => sum + (one ?? 0), 0));
      const losses: number[] = [];
      for (let window = 0; window < windows.count; window++) {
        losses.push(await summedLoss(model, tokensOf(windows, window)));
      }
      assertClose(totals, losses, 1e-5, "sums");
      assert.deepEqual(losses.map((loss) => loss > 0), [true, true, true, false, false]);
    }
  },
  once,
);

onEveryBackend(
  "padShiftEntropies() of a beginning are those of the whole window",
  async () => {
    const model = estimated(TRANSFORMERS, PAD);
    const whole = windowsOfLengths(LENGTH, [LENGTH]);
    const beginning = {
      ...whole,
      ids: Int32Array.of(PAD, PAD, ...whole.ids.subarray(0, LENGTH - 2)),
    };
    for (const form of FORMS) {
      const [estimates] = await padShiftEntropies(model, whole, { form });
      const [shifted] = await padShiftEntropies(model, beginning, { form });
      const expected = [null, null, ...estimates!.slice(0, LENGTH - 2)];
      assertEstimates([shifted!], [expected], 1e-5, form);
    }
  },
  once,
);

onEveryBackend("padShiftEntropies() are the same in batches of any size", async () => {
  const model = estimated(eem(transformer, transformer, {}, 9), PAD);
  const windows = mixedWindows(9);
  for (const form of FORMS) {
    const expected = await padShiftEntropies(model, windows, { form });
    for (const batchSize of [1, 2, 7]) {
      const found = await padShiftEntropies(model, windows, { form, batchSize });
      assertEstimates(found, expected, 1e-5, `${form}, ${batchSize} at once`);
    }
  }
}, once);

onEveryBackend("padShiftEntropies() of pads alone, and of one token, are none", async () => {
  const model = estimated(TRANSFORMERS, PAD);
  const none = new Array(LENGTH).fill(null);
  for (const form of FORMS) {
    const found = await padShiftEntropies(model, windowsOfLengths(LENGTH, [0, 1]), { form });
    assert.deepEqual(found, [none, none], form);
  }
}, once);

onEveryBackend("padShiftEntropies() frees its tensors", async () => {
  const model = estimated(TRANSFORMERS, PAD);
  const windows = mixedWindows(LENGTH);
  for (const form of FORMS) {
    await padShiftEntropies(model, windows, { form });
    const before = memory().numTensors;
    await padShiftEntropies(model, windows, { form });
    assert.equal(memory().numTensors, before, form);
  }
}, once);

onEveryBackend(
  "padShiftEntropies() refuses models without memory or pads, and windows",
  async () => {
    const windows = mixedWindows(LENGTH);
    const model = estimated(TRANSFORMERS, PAD);
    assert.match(
      await refusalOf(() => padShiftEntropies(estimated(TRANSFORMERS), windows)),
      /^pad-shift: expected a model trained on left-padded samples, found one trained on packed /,
    );
    assert.match(
      await refusalOf(() => padShiftEntropies(estimated(CAUSAL["mixer CLM"], PAD), windows)),
      /^pad-shift: expected an encoder-augmented model, .* found kind causal$/,
    );
    assert.match(
      await refusalOf(() => padShiftEntropies(model, mixedWindows(LENGTH + 1))),
      /^expected windows of 5 tokens, the model's context, found 6; /,
    );
    assert.match(
      await refusalOf(() => padShiftEntropies(model, windowsOfLengths(LENGTH, []))),
      /^expected one window or more, found none; /,
    );
  },
  { only: ["cpu"] },
);
