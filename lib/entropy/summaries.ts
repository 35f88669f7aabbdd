/**
 * Where in a text estimates are high: means by position, by token and by part of a word (the checks
 * of paper §4.7). Tokens without an estimate do not count.
 *
 * Standard errors take tokens for independent; tokens of one text are not, so they are too small
 * where texts are long: resample texts where the interval matters (lib/measure).
 */

import { type Mean, meanOf } from "./_mean.ts";
import type { TokenEstimate } from "./token_estimate.ts";

export type { Mean } from "./_mean.ts";

/** Records of one text, in its order. */
export type TextRecords = readonly TokenEstimate[];

/** Means by place in the text, from its beginning. */
export function summarizeByPosition(
  texts: readonly (readonly Pick<TokenEstimate, "position" | "estimate">[])[],
): (Mean & Readonly<{ position: number }>)[] {
  return grouped(texts.flat(), ({ position }) => position)
    .map(({ key, ...mean }) => ({ position: key, ...mean }))
    .sort((a, b) => a.position - b.position);
}

/**
 * Means by token, the most frequent first, equally frequent ones by id.
 *
 * @param options `minCount`: rarer tokens are left out; 1 by default.
 */
export function summarizeByToken(
  texts: readonly TextRecords[],
  { minCount = 1 }: Readonly<{ minCount?: number }> = {},
): (Mean & Readonly<{ id: number; text: string }>)[] {
  const records = texts.flat();
  const textOf = new Map(records.map(({ id, text }) => [id, text]));
  return grouped(records, ({ id }) => id)
    .filter(({ count }) => count >= minCount)
    .map(({ key, ...mean }) => ({ id: key, text: textOf.get(key)!, ...mean }))
    .sort((a, b) => b.count - a.count || a.id - b.id);
}

/** `first` begins a word, `later` continues it, `other` is no part of one. */
export const WORD_PARTS = ["first", "later", "other"] as const;
export type WordPart = (typeof WORD_PARTS)[number];

/**
 * What a token is to a word, by its text (`tokenText`) and that of the token before it; null at the
 * beginning of a text.
 *
 * Words are those of byte-level BPE (lib/tokenizer/split_words.ts), whose tokens never hold letters
 * beside anything but a space before them, or the apostrophe of a contraction: ` state`, `ment`,
 * `'s`. Numbers, punctuation, white space, special tokens and bytes of cut characters are `other`.
 * A contraction continues its word, unless its apostrophe is a token of its own. Escaped controls
 * (`\n`) are no letters.
 */
export function wordPart(previousText: string | null, text: string): WordPart {
  if (!isPartOfWord(text)) return "other";
  const continues = !text.startsWith(" ") && previousText !== null && isPartOfWord(previousText);
  return continues ? "later" : "first";
}

function isPartOfWord(text: string): boolean {
  return /^[ ']?\p{L}+$/u.test(text);
}

/** Means by part of a word, in the order of {@linkcode WORD_PARTS}; parts without tokens are absent. */
export function summarizeByWordPart(
  texts: readonly (readonly Pick<TokenEstimate, "text" | "estimate">[])[],
): (Mean & Readonly<{ part: WordPart }>)[] {
  const placed = texts.flatMap((records) =>
    records.map(({ text, estimate }, at) => ({
      part: wordPart(records[at - 1]?.text ?? null, text),
      estimate,
    }))
  );
  return grouped(placed, ({ part }) => part)
    .map(({ key, ...mean }) => ({ part: key, ...mean }))
    .sort((a, b) => WORD_PARTS.indexOf(a.part) - WORD_PARTS.indexOf(b.part));
}

function grouped<Item extends Pick<TokenEstimate, "estimate">, Key>(
  items: readonly Item[],
  keyOf: (item: Item) => Key,
): (Mean & Readonly<{ key: Key }>)[] {
  const present = items.filter(({ estimate }) => estimate !== null);
  return [...Map.groupBy(present, keyOf)].map(([key, group]) => ({
    key,
    ...meanOf(group.map(({ estimate }) => estimate!)),
  }));
}
