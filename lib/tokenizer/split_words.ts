/**
 * The pre-tokenizer of GPT-2 and of Hugging Face's `ByteLevel`: text is cut into words, and merges
 * never cross a cut. It is the expression
 *
 *     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *
 * with `\s` meaning the Unicode property White_Space (JavaScript's `\s` differs at U+0085 and
 * U+FEFF). It is written as a scanner because V8's expressions overflow their stack on long runs
 * of characters outside the basic plane.
 */

const UNKNOWN = 0, WHITE_SPACE = 1, LETTER = 2, NUMBER = 3, OTHER = 4;
const SPACE = 0x20, APOSTROPHE = 0x27;

/** The class of every code point, found when first met. */
const classes = new Uint8Array(0x110000);

function classify(codePoint: number): number {
  const character = String.fromCodePoint(codePoint);
  if (/\p{White_Space}/u.test(character)) return WHITE_SPACE;
  if (/\p{L}/u.test(character)) return LETTER;
  if (/\p{N}/u.test(character)) return NUMBER;
  return OTHER;
}

function classOf(codePoint: number): number {
  const known = classes[codePoint]!;
  return known !== UNKNOWN ? known : (classes[codePoint] = classify(codePoint));
}

/** Where the run of characters of `wanted` class starting at `start` ends. */
function runEnd(text: string, start: number, wanted: number): number {
  let end = start;
  while (end < text.length) {
    const codePoint = text.codePointAt(end)!;
    if (classOf(codePoint) !== wanted) break;
    end += codePoint > 0xffff ? 2 : 1;
  }
  return end;
}

/** The length of the English contraction after an apostrophe at `start`, 0 if there is none. */
function contractionLength(text: string, start: number): number {
  switch (text[start + 1]) {
    case "s":
    case "t":
    case "m":
    case "d":
      return 2;
    case "r":
    case "v":
      return text[start + 2] === "e" ? 3 : 0;
    case "l":
      return text[start + 2] === "l" ? 3 : 0;
    default:
      return 0;
  }
}

/** The end of the word that starts at `start` (an index below `text.length`). */
export function wordEnd(text: string, start: number): number {
  const first = text.codePointAt(start)!;
  if (first === APOSTROPHE) {
    const length = contractionLength(text, start);
    if (length > 0) return start + length;
  }
  const firstClass = classOf(first);
  if (firstClass !== WHITE_SPACE) return runEnd(text, start, firstClass);
  if (first === SPACE && start + 1 < text.length) {
    const nextClass = classOf(text.codePointAt(start + 1)!);
    if (nextClass !== WHITE_SPACE) return runEnd(text, start + 1, nextClass);
  }
  // All white space is in the basic plane: one unit a character. The last one of a run goes to
  // the word after it, unless the text ends here or the run is that one character.
  const end = runEnd(text, start, WHITE_SPACE);
  return end === text.length || end === start + 1 ? end : end - 1;
}

/** The words of `text`; joined they are `text` again. */
export function* splitWords(text: string): Generator<string> {
  for (let start = 0; start < text.length;) {
    const end = wordEnd(text, start);
    yield text.slice(start, end);
    start = end;
  }
}
