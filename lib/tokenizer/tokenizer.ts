/**
 * The byte-level BPE tokenizer as a value: a vocabulary of byte strings, an ordered list of merges,
 * and encoding and decoding by them (paper §7).
 *
 * Encoding cuts text into words (split_words.ts), starts from the bytes of each word, and applies
 * merges in the order in which training found them. It adds no special tokens, and a special token
 * spelled out in the text is text like any other: `encode("<|end_of_text|>")` never gives `padId`,
 * so no document can end a sample. Hugging Face's `encode` differs in that alone.
 */

import { createHash } from "node:crypto";
import { UserError } from "../errors.ts";
import { MergeTable } from "./_merge_table.ts";
import { escapeBytes, unescapeBytes } from "./_utf8.ts";
import { WordCache } from "./_word_cache.ts";
import { spellBytes } from "./byte_alphabet.ts";
import { wordEnd } from "./split_words.ts";

/** Text to token ids and back. Ids are 0 … vocabSize − 1. */
export interface Tokenizer {
  readonly vocabSize: number;
  /** Ids of the special tokens by name. */
  readonly specialTokens: Readonly<Record<string, number>>;
  /** `<|begin_of_text|>`; 0 in tokenizers trained here (paper §7). */
  readonly bosId: number;
  /** `<|end_of_text|>`, which is both end of text and padding; 1 in tokenizers trained here. */
  readonly padId: number;
  /** SHA-256 (hexadecimal) over vocabulary, merges and special tokens. */
  readonly hash: string;
  /** Equal to `encodeBytes` of the text's UTF-8. Gives no special tokens. */
  encode(text: string): Int32Array;
  /** Encodes any bytes, valid UTF-8 or not; `decodeBytes` gives the same bytes back. */
  encodeBytes(bytes: Uint8Array): Int32Array;
  /** The text of the bytes; bytes that are not UTF-8 become U+FFFD, special tokens nothing. */
  decode(ids: ArrayLike<number>): string;
  /** The bytes of the tokens in a row. `UserError` for an id outside of the vocabulary. */
  decodeBytes(ids: ArrayLike<number>): Uint8Array;
  /** The bytes of one token; none for a special token. */
  tokenBytes(id: number): Uint8Array;
  /** One token for a label: controls escaped, cut characters as U+FFFD, special tokens by name. */
  tokenText(id: number): string;
}

/** A tokenizer with its merges: what training and reading a file give. */
export interface BpeTokenizer extends Tokenizer {
  /** Ids (left, right) of every merge, two numbers each, in order of rank. */
  readonly merges: Int32Array;
}

/** What defines a tokenizer. */
export interface BpeModel {
  /** The bytes of every id; specials are empty. */
  readonly tokens: readonly Uint8Array[];
  readonly specialTokens: Readonly<Record<string, number>>;
  /** (left, right) in order of rank; of a pair listed twice the later one counts. */
  readonly merges: readonly (readonly [number, number])[];
}

const BOS_NAMES = ["<|begin_of_text|>", "<bos>", "<s>", "<|endoftext|>"];
const PAD_NAMES = ["<|end_of_text|>", "<eos>", "</s>", "<|endoftext|>"];

function findSpecial(
  specialTokens: Readonly<Record<string, number>>,
  names: readonly string[],
): number {
  const name = names.find((name) => Object.hasOwn(specialTokens, name));
  if (name === undefined) {
    throw new UserError(
      `expected a special token named ${names.join(" or ")}, found ` +
        `${Object.keys(specialTokens).join(", ") || "none"}: add one`,
    );
  }
  return specialTokens[name]!;
}

/** Drops all but the last of equal pairs, as Hugging Face does when it builds its table. */
function withoutRepeats(merges: BpeModel["merges"], vocabSize: number): Int32Array {
  const lastRank = new Map(merges.map(([left, right], rank) => [left * vocabSize + right, rank]));
  const kept = merges.filter(([left, right], rank) =>
    lastRank.get(left * vocabSize + right) === rank
  );
  return Int32Array.from(kept.flat());
}

function hashModel(
  tokens: readonly Uint8Array[],
  specialTokens: Readonly<Record<string, number>>,
  merges: Int32Array,
): string {
  const specials = Object.entries(specialTokens).sort((a, b) => a[1] - b[1]);
  return createHash("sha256")
    .update(JSON.stringify([tokens.map(spellBytes), specials, Array.from(merges)]))
    .digest("hex");
}

/**
 * A tokenizer from its definition, which must be complete: every byte is a token, merges name
 * tokens whose bytes joined are a token (`UserError` otherwise).
 */
export function createTokenizer(model: BpeModel): BpeTokenizer {
  const { tokens, specialTokens } = model;
  const vocabSize = tokens.length;
  const merges = withoutRepeats(model.merges, vocabSize);
  const idOfBytes = new Map<string, number>();
  tokens.forEach((bytes, id) => bytes.length > 0 && idOfBytes.set(spellBytes(bytes), id));

  const idOfByte = Int32Array.from({ length: 256 }, (_, byte) => {
    const id = idOfBytes.get(spellBytes(Uint8Array.of(byte)));
    if (id === undefined) {
      throw new UserError(
        `expected a vocabulary with all 256 bytes, found none for byte ${byte}: ` +
          `retrain with the byte-level alphabet`,
      );
    }
    return id;
  });
  const bosId = findSpecial(specialTokens, BOS_NAMES);
  const padId = findSpecial(specialTokens, PAD_NAMES);

  const mergedIds = new Int32Array(merges.length / 2);
  for (let rank = 0; rank < mergedIds.length; rank++) {
    const left = merges[2 * rank]!, right = merges[2 * rank + 1]!;
    const spelled = spellBytes(tokens[left]!) + spellBytes(tokens[right]!);
    const merged = idOfBytes.get(spelled);
    if (merged === undefined || tokens[left]!.length === 0 || tokens[right]!.length === 0) {
      throw new UserError(`expected merge ${rank} to give a token, found no token "${spelled}"`);
    }
    mergedIds[rank] = merged;
  }

  const table = new MergeTable(merges, mergedIds);
  const cache = new WordCache();

  function encodeEscaped(text: string): Int32Array {
    let ids = new Int32Array(Math.ceil(text.length / 3) + 16);
    let count = 0;
    for (let start = 0; start < text.length;) {
      const end = wordEnd(text, start);
      if (!cache.find(text, start, end)) {
        cache.add(
          text,
          start,
          end,
          table.encodeWord(unescapeBytes(text.slice(start, end)), idOfByte),
        );
      }
      const { ids: wordIds, start: from, end: to } = cache;
      if (count + to - from > ids.length) {
        const larger = new Int32Array(2 * (ids.length + to - from));
        larger.set(ids);
        ids = larger;
      }
      for (let i = from; i < to; i++) ids[count++] = wordIds[i]!;
      start = end;
    }
    return ids.slice(0, count);
  }

  function tokenBytes(id: number): Uint8Array {
    const bytes = tokens[id];
    if (bytes === undefined) {
      throw new UserError(`expected a token id of 0 … ${vocabSize - 1}, found ${id}`);
    }
    return bytes.slice();
  }

  function decodeBytes(ids: ArrayLike<number>): Uint8Array {
    let length = 0;
    for (let i = 0; i < ids.length; i++) length += (tokens[ids[i]!] ?? tokenBytes(ids[i]!)).length;
    const bytes = new Uint8Array(length);
    for (let i = 0, at = 0; i < ids.length; i++) {
      const token = tokens[ids[i]!]!;
      bytes.set(token, at);
      at += token.length;
    }
    return bytes;
  }

  const nameOfSpecial = new Map(Object.entries(specialTokens).map(([name, id]) => [id, name]));
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  return {
    vocabSize,
    specialTokens,
    bosId,
    padId,
    hash: hashModel(tokens, specialTokens, merges),
    merges,
    encode: (text) => encodeEscaped(text.toWellFormed()),
    encodeBytes: (bytes) => encodeEscaped(escapeBytes(bytes)),
    decode: (ids) => decoder.decode(decodeBytes(ids)),
    decodeBytes,
    tokenBytes,
    tokenText: (id) => {
      const bytes = tokenBytes(id);
      return nameOfSpecial.get(id) ??
        // deno-lint-ignore no-control-regex
        decoder.decode(bytes).replace(/[\u0000-\u001f\u007f-\u009f]/g, escapeControl);
    },
  };
}

function escapeControl(character: string): string {
  const code = character.charCodeAt(0);
  if (code === 0x0a) return "\\n";
  if (code === 0x0d) return "\\r";
  if (code === 0x09) return "\\t";
  return `\\x${code.toString(16).padStart(2, "0")}`;
}
