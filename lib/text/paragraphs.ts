/**
 * Documents cut into paragraphs or sentences. Padded samples (paper §2.8) hold one document each,
 * cut off at the context length; with whole books or addresses as documents nearly all text would
 * be cut off, so there a piece of the length of a context serves as the document.
 */

import type { TextDocument } from "./document.ts";

/** A longer block without a blank line is cut further. In UTF-16 units, as below. */
const LONGEST_BLOCK = 2000;
/** Sentences (or lines, or words) are collected until a piece of such a block is this long. */
const SHORTEST_PIECE = 400;

/** Blank lines. */
const PARAGRAPH_END = /\n(?:[^\S\n]*\n)+/g;
/** Closing punctuation, then white space and a capital, a digit or a quote; or that of Chinese. */
const SENTENCE_END = /[.!?]["'”’)\]]*\s+(?=["'“‘([]*[\p{Lu}\p{N}])|[。！？]+["'”’）」』]*/gu;
/** What ends in a full stop without ending a sentence. */
const ABBREVIATION = /(?:^|[\s("“.])(?:Mr|Mrs|Ms|Dr|Gen|Hon|Messrs|St|No|vs|\p{Lu})\.\s+$/u;
/** No abbreviation is longer, with the white space after it. */
const ABBREVIATION_LENGTH = 16;

/** Where a long block may be cut, the best places first. */
const BLOCK_ENDS = [SENTENCE_END, /\n+/g, /\s+/g];

/** Cuts after every match of `end`, abbreviations excepted; the parts joined are the text. */
function cutAfter(text: string, end: RegExp): string[] {
  const parts: string[] = [];
  let start = 0;
  for (const match of text.matchAll(end)) {
    const cut = match.index + match[0].length;
    const before = text.slice(Math.max(start, cut - ABBREVIATION_LENGTH), cut);
    if (cut >= text.length || (end === SENTENCE_END && ABBREVIATION.test(before))) continue;
    parts.push(text.slice(start, cut));
    start = cut;
  }
  if (start < text.length) parts.push(text.slice(start));
  return parts;
}

/** Joins neighbours until each is `shortest` long; a shorter rest stays with the one before it. */
export function joinShort(parts: readonly string[], shortest: number): string[] {
  const joined: string[] = [];
  let piece = "";
  for (const part of parts) {
    piece += part;
    if (piece.length < shortest) continue;
    joined.push(piece);
    piece = "";
  }
  if (piece === "") return joined;
  joined.push((joined.pop() ?? "") + piece);
  return joined;
}

function cutLongBlock(block: string, level = 0): string[] {
  const end = BLOCK_ENDS[level];
  if (block.length <= LONGEST_BLOCK || end === undefined) return [block];
  return joinShort(cutAfter(block, end), SHORTEST_PIECE)
    .flatMap((piece) => cutLongBlock(piece, level + 1));
}

/** The paragraphs of a text with the white space after them: joined they are the text. */
export function cutParagraphs(text: string): string[] {
  return cutAfter(text, PARAGRAPH_END).flatMap((block) => cutLongBlock(block));
}

/**
 * The paragraphs of all documents, as documents `id#1`, `id#2`, …, without the white space around
 * them. Paragraphs end at blank lines. A block of more than 2,000 characters without one (each
 * address of the built-in corpus is a single line) is cut at sentence ends into pieces of 400
 * characters or more; where there are none, at line ends or, last, between words.
 */
export function splitParagraphs(documents: readonly TextDocument[]): TextDocument[] {
  return splitDocuments(documents, cutParagraphs);
}

/** The sentences of all documents, as documents `id#1`, `id#2`, …, likewise. */
export function splitSentences(documents: readonly TextDocument[]): TextDocument[] {
  return splitDocuments(
    documents,
    (text) => cutParagraphs(text).flatMap((paragraph) => cutAfter(paragraph, SENTENCE_END)),
  );
}

function splitDocuments(
  documents: readonly TextDocument[],
  cut: (text: string) => string[],
): TextDocument[] {
  return documents.flatMap(({ id, text }) =>
    cut(text)
      .map((piece) => piece.trim())
      .filter((piece) => piece !== "")
      .map((piece, index) => ({ id: `${id}#${index + 1}`, text: piece }))
  );
}
