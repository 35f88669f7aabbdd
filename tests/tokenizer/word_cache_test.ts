import assert from "node:assert/strict";
import { WordCache } from "../../lib/tokenizer/_word_cache.ts";

const idsFor = (word: string) => Int32Array.from(word, (character) => character.codePointAt(0)!);
const found = (cache: WordCache) => [...cache.ids.subarray(cache.start, cache.end)];

Deno.test("WordCache gives the ids of the word asked for, wherever it lies in a text", () => {
  const cache = new WordCache();
  for (const word of ["a", "ab", "ba", "über", "\ud800"]) {
    cache.add(word, 0, word.length, idsFor(word));
  }
  assert.ok(cache.find("xxüberxx", 2, 6));
  assert.deepEqual(found(cache), [...idsFor("über")]);
  assert.ok(cache.find("aba", 1, 3));
  assert.deepEqual(found(cache), [...idsFor("ba")]);
  assert.equal(cache.find("aba", 0, 3), false);
  assert.equal(cache.find("\udc00", 0, 1), false);
  assert.equal(new WordCache().find("a", 0, 1), false);
});

Deno.test("WordCache stays right while it grows and when it is emptied", () => {
  const cache = new WordCache();
  let hits = 0;
  const look = (word: string) => {
    if (cache.find(word, 0, word.length)) hits++;
    else cache.add(word, 0, word.length, idsFor(word));
    assert.deepEqual(found(cache), [...idsFor(word)], word);
  };
  for (let number = 0; number < 400_000; number++) {
    look(`${number}`);
    if (number % 7 === 0) look("often");
  }
  assert.ok(hits > 50_000, `${hits} of 57,143 found`);
});

Deno.test("WordCache gives long words their ids, but forgets them", () => {
  const cache = new WordCache();
  const long = "x".repeat(65);
  cache.add(long, 0, 65, idsFor(long));
  assert.deepEqual(found(cache), [...idsFor(long)]);
  assert.equal(cache.find(long, 0, 65), false);
});
