import assert from "node:assert/strict";
import { eachRound, layoutRounds, type LayoutSizes, type Window } from "../../lib/codec/layout.ts";
import { createRandom } from "../../lib/random.ts";
import { refusal } from "../models/_tiny.ts";

/** The same from the definition, token by token: every token asks which window codes it. */
function windowsOfDefinition(
  { tokenCount, laneCount, contextLength, overlap }: LayoutSizes,
): Window[][] {
  const laneOf = (token: number) => {
    let lane = 0;
    while (Math.floor((lane + 1) * tokenCount / laneCount) <= token) lane++;
    return lane;
  };
  const lanes = Array.from({ length: laneCount }, (): number[] => []);
  for (let token = 0; token < tokenCount; token++) lanes[laneOf(token)]!.push(token);
  const rounds: Window[][] = [];
  lanes.forEach((tokens, lane) => {
    let coded = 0; // of the lane's tokens
    for (let round = 0; coded < tokens.length; round++) {
      const reached = round === 0 ? contextLength : coded + contextLength - overlap;
      const end = Math.min(reached, tokens.length);
      const start = Math.max(0, end - contextLength);
      const first = tokens[0]!;
      (rounds[round] ??= []).push({
        lane,
        start: first + start,
        known: first + coded,
        end: first + end,
      });
      coded = end;
    }
  });
  return rounds;
}

function assertLayout(sizes: LayoutSizes): void {
  const { tokenCount, laneCount, contextLength, overlap } = sizes;
  const what = JSON.stringify(sizes);
  const rounds = layoutRounds(sizes);
  assert.deepEqual(rounds, windowsOfDefinition(sizes), what);
  assert.deepEqual([...eachRound(sizes)], rounds, what);
  const isKnown = new Uint8Array(tokenCount);
  for (const round of rounds) {
    const lanes = round.map(({ lane }) => lane);
    assert.deepEqual(lanes, [...new Set(lanes)].sort((a, b) => a - b), `${what}: lanes in order`);
    for (const { lane, start, known, end } of round) {
      const laneStart = Math.floor(lane * tokenCount / laneCount);
      const laneEnd = Math.floor((lane + 1) * tokenCount / laneCount);
      assert.ok(laneStart <= start && start <= known && known < end && end <= laneEnd, what);
      assert.equal(end - start, Math.min(contextLength, laneEnd - laneStart), `${what}: full`);
      for (let token = start; token < end; token++) {
        assert.equal(isKnown[token], token < known ? 1 : 0, `${what}: token ${token}`);
      }
      // Only a window that was moved back has more context than was asked for.
      const context = known - start;
      if (known === laneStart) assert.equal(context, 0, what);
      else assert.ok(context === overlap || context > overlap && end === laneEnd, what);
    }
    // A round is known as a whole only when it ends: lanes do not see each other.
    for (const { known, end } of round) isKnown.fill(1, known, end);
  }
  assert.ok(isKnown.every((known) => known === 1), `${what}: every token is coded`);
}

Deno.test("layoutRounds() codes every token once, behind a context that is known", () => {
  for (let tokenCount = 0; tokenCount <= 24; tokenCount++) {
    for (const laneCount of new Set([1, 2, 3, 7, tokenCount])) {
      if (laneCount < 1 || laneCount > Math.max(1, tokenCount)) continue;
      for (const contextLength of [1, 2, 5, 8, 30]) {
        for (const overlap of new Set([0, 1, contextLength >> 1, contextLength - 1])) {
          if (overlap < contextLength) {
            assertLayout({ tokenCount, laneCount, contextLength, overlap });
          }
        }
      }
    }
  }
});

Deno.test("layoutRounds() does so for files of any size", () => {
  const random = createRandom(7);
  const below = (limit: number) => Math.floor(limit * random.uniform());
  for (let i = 0; i < 100; i++) {
    const tokenCount = below(3000);
    const contextLength = 1 + below(100);
    const laneCount = 1 + below(Math.max(1, Math.min(100, tokenCount)));
    assertLayout({ tokenCount, laneCount, contextLength, overlap: below(contextLength) });
  }
});

Deno.test("layoutRounds() lays out a file by hand", () => {
  assert.deepEqual(
    layoutRounds({ tokenCount: 15, laneCount: 2, contextLength: 4, overlap: 1 }),
    [
      [{ lane: 0, start: 0, known: 0, end: 4 }, { lane: 1, start: 7, known: 7, end: 11 }],
      [{ lane: 0, start: 3, known: 4, end: 7 }, { lane: 1, start: 10, known: 11, end: 14 }],
      [{ lane: 1, start: 11, known: 14, end: 15 }],
    ],
  );
});

Deno.test("eachRound() makes no window before it is asked for", () => {
  const sizes = { tokenCount: 2 ** 31, laneCount: 2, contextLength: 5, overlap: 4 };
  const rounds = eachRound(sizes);
  const [first, second] = [rounds.next().value, rounds.next().value];
  assert.deepEqual(first?.map(({ start, end }) => [start, end]), [[0, 5], [2 ** 30, 2 ** 30 + 5]]);
  assert.deepEqual(second?.map(({ start, known }) => [start, known]), [[1, 5], [
    2 ** 30 + 1,
    2 ** 30 + 5,
  ]]);
});

Deno.test("layoutRounds() refuses sizes that leave nothing to code", () => {
  const sizes = { tokenCount: 9, laneCount: 1, contextLength: 5, overlap: 2 };
  for (const overlap of [-1, 5, 6, 1.5, NaN, Infinity]) {
    assert.equal(
      refusal(() => layoutRounds({ ...sizes, overlap })),
      `overlap: expected 0 … 4 tokens, less than the model's context, found ${overlap}`,
    );
  }
  for (const laneCount of [0, -1, 10, 1.5, NaN]) {
    assert.equal(
      refusal(() => layoutRounds({ ...sizes, laneCount })),
      `lanes: expected 1 … 9, no more than there are tokens, found ${laneCount}`,
    );
  }
  assert.equal(
    refusal(() => layoutRounds({ ...sizes, tokenCount: 0, laneCount: 2 })),
    "lanes: expected 1 … 1, no more than there are tokens, found 2",
  );
});
