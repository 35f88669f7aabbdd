/**
 * Training of byte-level BPE (paper §7): starting from the 256 bytes, the most frequent pair of
 * neighbouring tokens within words becomes a token, again and again.
 *
 * The result equals that of Hugging Face's `BpeTrainer` with `initial_alphabet =
 * ByteLevel.alphabet()`, id by id: special tokens first, then the bytes in the order of their
 * characters, then merges; of equally frequent pairs the one with the lower ids is merged first.
 */

import { UserError } from "../errors.ts";
import { Heap } from "./_heap.ts";
import { unescapeBytes } from "./_utf8.ts";
import { BYTES_IN_CHARACTER_ORDER } from "./byte_alphabet.ts";
import { splitWords, wordEnd } from "./split_words.ts";
import { type BpeTokenizer, createTokenizer } from "./tokenizer.ts";

export interface TrainOptions {
  /** Entries wanted: special tokens, 256 bytes and merges. Fewer if the text has no more pairs. */
  readonly vocabSize: number;
  /** Names of the first ids. Default: `<|begin_of_text|>`, `<|end_of_text|>`. */
  readonly specialTokens?: readonly string[];
  /** A pair seen less often is not merged. Default 2. */
  readonly minFrequency?: number;
  /** Called now and then with the number of entries made and wanted. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** A pair that waits to be merged, and the words where it was seen. */
interface Candidate {
  readonly left: number;
  readonly right: number;
  readonly words: number[];
  count: number;
}

const DEFAULT_SPECIAL_TOKENS = ["<|begin_of_text|>", "<|end_of_text|>"];
const PROGRESS_INTERVAL = 128;

function checkOptions(vocabSize: number, specialTokens: readonly string[], minFrequency: number) {
  const smallest = 256 + specialTokens.length;
  if (!Number.isInteger(vocabSize) || vocabSize < smallest || vocabSize >= 2 ** 24) {
    throw new UserError(
      `expected a vocabulary of ${smallest} (bytes and special tokens) to 16777215 entries, ` +
        `found ${vocabSize}`,
    );
  }
  if (!Number.isInteger(minFrequency) || minFrequency < 1) {
    throw new UserError(`expected a least frequency of 1 or more, found ${minFrequency}`);
  }
  if (new Set(specialTokens).size < specialTokens.length) {
    throw new UserError(`expected different special tokens, found ${specialTokens.join(", ")}`);
  }
  for (const name of specialTokens) {
    // Merges stay within words, so a name of two words or more is never the spelling of a merge.
    if (name === "" || wordEnd(name, 0) === name.length) {
      throw new UserError(
        `expected special tokens that no word of text can spell, found "${name}": ` +
          `write it like <|name|>`,
      );
    }
  }
}

/** How often each word occurs. */
export type WordCounts = Map<string, number>;

/** Counts the words of a text in. The counts keep nothing of the text alive but its new words. */
export function countWords(text: string, counts: WordCounts): void {
  for (const word of splitWords(text.toWellFormed())) {
    const known = counts.get(word);
    // A slice would keep the whole text in memory; a string made anew does not.
    if (known === undefined) counts.set(word.split("").join(""), 1);
    else counts.set(word, known + 1);
  }
}

/**
 * Trains on `texts` (one pass). Deterministic: the order of the texts does not matter.
 * Throws `UserError` for options that make no tokenizer.
 */
export function trainTokenizer(texts: Iterable<string>, options: TrainOptions): BpeTokenizer {
  const counts: WordCounts = new Map();
  for (const text of texts) countWords(text, counts);
  return trainOnWords(counts, options);
}

/** Trains on the words of texts that were counted one by one, as {@linkcode trainTokenizer} does. */
export function trainOnWords(counts: WordCounts, options: TrainOptions): BpeTokenizer {
  const { vocabSize, onProgress } = options;
  const specialNames = options.specialTokens ?? DEFAULT_SPECIAL_TOKENS;
  const minFrequency = options.minFrequency ?? 2;
  checkOptions(vocabSize, specialNames, minFrequency);

  const tokens: Uint8Array[] = specialNames.map(() => new Uint8Array(0));
  const idOfByte = new Int32Array(256);
  for (const byte of BYTES_IN_CHARACTER_ORDER) {
    idOfByte[byte] = tokens.length;
    tokens.push(Uint8Array.of(byte));
  }

  const wordCounts: number[] = [];
  const words: Int32Array[] = [];
  for (const [word, count] of counts) {
    wordCounts.push(count);
    words.push(Int32Array.from(unescapeBytes(word), (byte) => idOfByte[byte]!));
  }

  const pairCounts = new Map<number, number>();
  // The most frequent first; among equals the lower ids.
  const queue = new Heap<Candidate>((a, b) =>
    a.count !== b.count
      ? a.count > b.count
      : a.left !== b.left
      ? a.left < b.left
      : a.right < b.right
  );
  let found = new Map<number, Candidate>();

  const countPair = (left: number, right: number, change: number, word: number) => {
    const key = left * vocabSize + right;
    pairCounts.set(key, (pairCounts.get(key) ?? 0) + change);
    if (change < 0) return;
    const candidate = found.get(key);
    if (candidate === undefined) found.set(key, { left, right, words: [word], count: 0 });
    else if (candidate.words.at(-1) !== word) candidate.words.push(word);
  };
  const queueFound = () => {
    for (const [key, candidate] of found) {
      candidate.count = pairCounts.get(key)!;
      if (candidate.count > 0) queue.push(candidate);
    }
    found = new Map();
  };

  /** Replaces the pair in a word from left to right, keeping the counts of its neighbours. */
  const mergeWord = (word: number, left: number, right: number, merged: number) => {
    const ids = words[word]!, count = wordCounts[word]!;
    let length = 0;
    for (let from = 0; from < ids.length;) {
      if (ids[from] !== left || from + 1 >= ids.length || ids[from + 1] !== right) {
        ids[length++] = ids[from++]!;
        continue;
      }
      if (length > 0) {
        countPair(ids[length - 1]!, left, -count, word);
        countPair(ids[length - 1]!, merged, count, word);
      }
      ids[length++] = merged;
      from += 2;
      if (from < ids.length) {
        countPair(right, ids[from]!, -count, word);
        countPair(merged, ids[from]!, count, word);
      }
    }
    words[word] = ids.subarray(0, length);
  };

  words.forEach((ids, word) => {
    for (let i = 0; i + 1 < ids.length; i++) {
      countPair(ids[i]!, ids[i + 1]!, wordCounts[word]!, word);
    }
  });
  queueFound();

  const merges: [number, number][] = [];
  while (tokens.length < vocabSize) {
    const top = queue.pop();
    if (top === undefined) break;
    const { left, right } = top;
    const count = pairCounts.get(left * vocabSize + right)!;
    if (count !== top.count) { // merges since it was queued took some of its places
      top.count = count;
      if (count > 0) queue.push(top);
      continue;
    }
    if (count < minFrequency) break;
    // No earlier merge spells the same bytes: what lies between two cuts of a word is merged alike
    // wherever it occurs, so that merge would have taken these places too.
    const merged = tokens.length;
    tokens.push(new Uint8Array([...tokens[left]!, ...tokens[right]!]));
    if (merged % PROGRESS_INTERVAL === 0) onProgress?.(merged, vocabSize);
    merges.push([left, right]);
    for (const word of top.words) mergeWord(word, left, right, merged);
    queueFound();
  }
  onProgress?.(tokens.length, tokens.length);

  const specialTokens = Object.fromEntries(specialNames.map((name, id) => [name, id]));
  return createTokenizer({ tokens, specialTokens, merges });
}
