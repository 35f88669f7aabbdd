import assert from "node:assert/strict";
import { frequenciesOf, uniformFrequencies } from "../../lib/codec/frequencies.ts";
import { layoutRounds, type LayoutSizes, type Window } from "../../lib/codec/layout.ts";
import { codeRound, type RoundOptions } from "../../lib/codec/windows.ts";
import { listedPredictor, logitsAt } from "./_predictor.ts";

const V = 20;
const PAD = 19;
const raw = uniformFrequencies(V);
const first = uniformFrequencies(V);

/** Token i of the file is i + 1, so that no token is like another or like the pad. */
const idOf = (index: number) => index + 1;

/** Reads all rounds as the decoder does; what was visited and asked for. */
async function readAll(
  sizes: LayoutSizes,
  isModelled: (window: Window) => boolean = () => true,
  options: Partial<RoundOptions> = {},
) {
  const { laneCount, contextLength, tokenCount } = sizes;
  const listed = listedPredictor({ laneCount, contextLength, vocabSize: V, embeddingSize: 2 });
  const ids = new Int32Array(tokenCount);
  const visits: { index: number; position: number; round: number; kind: string }[] = [];
  for (const [round, windows] of layoutRounds(sizes).entries()) {
    const embeddingsLP = new Float32Array(2 * laneCount).fill(round);
    await codeRound(listed.predictor, windows, {
      ids,
      padId: PAD,
      embeddingsLP,
      isModelled,
      raw,
      first,
      ...options,
    }, ({ window, index, position }, frequencies) => {
      assert.equal(position, index - window.start);
      assert.ok(index >= window.known && index < window.end);
      const isFixed = frequencies === raw || frequencies === first;
      visits.push({
        index,
        position,
        round,
        kind: frequencies === raw ? "raw" : frequencies === first ? "first" : "model",
      });
      if (!isFixed) {
        let sum = 0;
        for (let before = window.start; before < index; before++) sum += idOf(before);
        const expected = frequenciesOf(Float32Array.from(logitsAt(window.lane, sum, V)));
        assert.deepEqual(frequencies.cumulative, expected.cumulative, `token ${index}`);
      }
      return idOf(index);
    });
  }
  return { visits, ids, calls: listed.calls };
}

Deno.test("codeRound() visits positions in order, lanes in order, with what the tokens before say", async () => {
  for (const overlap of [0, 1, 3]) {
    for (const laneCount of [1, 2, 3]) {
      const sizes = { tokenCount: 18, laneCount, contextLength: 4, overlap };
      const { visits, ids } = await readAll(sizes);
      const expected = layoutRounds(sizes).flatMap((windows, round) =>
        Array.from({ length: 4 }, (_, position) =>
          windows.flatMap(({ start, known, end }) => {
            const index = start + position;
            if (index < known || index >= end) return [];
            return [{ index, position, round, kind: position === 0 ? "first" : "model" }];
          })).flat()
      );
      assert.deepEqual(visits, expected);
      assert.deepEqual([...ids], Array.from({ length: 18 }, (_, i) => idOf(i)));
    }
  }
});

Deno.test("codeRound() reads every token but the last, and asks for logits where they are used", async () => {
  const { calls } = await readAll({ tokenCount: 13, laneCount: 2, contextLength: 4, overlap: 2 });
  assert.deepEqual(calls, [
    // Lanes of 6 and 7 tokens: 1 … 6 and 7 … 13.
    { name: "begin", embeddings: [0, 0, 0, 0] },
    { name: "next", ids: [1, 7] },
    { name: "next", ids: [2, 8] },
    { name: "next", ids: [3, 9] },
    { name: "begin", embeddings: [1, 1, 1, 1] },
    { name: "advance", ids: [3, 9] },
    { name: "next", ids: [4, 10] },
    { name: "next", ids: [5, 11] },
    { name: "begin", embeddings: [2, 2, 2, 2] },
    { name: "advance", ids: [PAD, 10] },
    { name: "advance", ids: [PAD, 11] },
    { name: "next", ids: [PAD, 12] },
  ]);
});

Deno.test("codeRound() fills lanes that end before others with pads", async () => {
  const { calls } = await readAll({ tokenCount: 5, laneCount: 2, contextLength: 4, overlap: 0 });
  assert.deepEqual(calls.slice(1), [
    { name: "next", ids: [1, 3] },
    { name: "next", ids: [2, 4] },
  ]);
});

Deno.test("codeRound() codes windows without the model amid others", async () => {
  const sizes = { tokenCount: 16, laneCount: 2, contextLength: 4, overlap: 1 };
  const { visits, calls, ids } = await readAll(sizes, ({ lane }) => lane === 1);
  assert.ok(visits.every(({ index, kind }) => (kind === "raw") === (index < 8)));
  assert.deepEqual([...ids], Array.from({ length: 16 }, (_, i) => idOf(i)));
  // The model is asked the same, whoever listens.
  assert.deepEqual(calls, (await readAll(sizes)).calls);
});

Deno.test("codeRound() leaves the model alone where no window needs it", async () => {
  const sizes = { tokenCount: 16, laneCount: 2, contextLength: 4, overlap: 1 };
  const { visits, calls } = await readAll(sizes, () => false);
  assert.deepEqual(calls, []);
  assert.deepEqual(new Set(visits.map(({ kind }) => kind)), new Set(["raw"]));
  assert.equal(visits.length, 16);
});

Deno.test("codeRound() ends with the reason of its signal", async () => {
  const reason = new Error("enough");
  const sizes = { tokenCount: 16, laneCount: 2, contextLength: 4, overlap: 1 };
  await assert.rejects(readAll(sizes, () => true, { signal: AbortSignal.abort(reason) }), reason);
});
