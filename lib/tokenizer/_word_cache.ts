/**
 * Words that were encoded before, found without making a string of each: a hash table of numbers,
 * with the words' characters and their ids in two long arrays. It grows with what it is given up to
 * 25 MB, and is emptied when it is full.
 */

/** Longer words are not remembered: they hardly come back. In UTF-16 units. */
const LONGEST_WORD = 64;
const FEWEST_WORDS = 1 << 10;
const MOST_WORDS = 1 << 18;
/** Room for the characters and for the ids of as many words as there may be, of average length. */
const ROOM = 12;

export class WordCache {
  #words = 0;
  #mostWords = 0;
  #mask = 0;
  /** Of every slot its word's number, −1 where there is none. */
  #slots = new Int32Array(0);
  #hashes = new Int32Array(0);
  #characters = new Uint16Array(0);
  #characterEnds = new Int32Array(0);
  #ids = new Int32Array(0);
  #idEnds = new Int32Array(0);

  /** The ids found or added last are `ids[start]` … `ids[end − 1]`. */
  ids: Int32Array = new Int32Array(0);
  start = 0;
  end = 0;

  /** Looks up the word at `from` … `to − 1` of a text. */
  find(text: string, from: number, to: number): boolean {
    if (to - from > LONGEST_WORD || this.#words === 0) return false;
    const hash = hashOf(text, from, to);
    for (let slot = hash & this.#mask;; slot = (slot + 1) & this.#mask) {
      const word = this.#slots[slot]!;
      if (word < 0) return false;
      if (this.#hashes[word] === hash && this.#isWord(word, text, from, to)) {
        this.ids = this.#ids;
        this.start = word === 0 ? 0 : this.#idEnds[word - 1]!;
        this.end = this.#idEnds[word]!;
        return true;
      }
    }
  }

  /** Remembers the ids of a word that was not found, unless it is long. */
  add(text: string, from: number, to: number, ids: Int32Array): void {
    this.ids = ids;
    this.start = 0;
    this.end = ids.length;
    if (to - from > LONGEST_WORD) return;
    const hasRoom = this.#words < this.#mostWords &&
      this.#endOf(this.#characterEnds) + to - from <= this.#characters.length &&
      this.#endOf(this.#idEnds) + ids.length <= this.#ids.length;
    if (!hasRoom) this.#startAnew(Math.min(MOST_WORDS, Math.max(FEWEST_WORDS, 4 * this.#words)));
    const hash = hashOf(text, from, to);
    let slot = hash & this.#mask;
    while (this.#slots[slot]! >= 0) slot = (slot + 1) & this.#mask;
    const word = this.#words;
    let at = this.#endOf(this.#characterEnds);
    const idsAt = this.#endOf(this.#idEnds);
    for (let i = from; i < to; i++) this.#characters[at++] = text.charCodeAt(i);
    this.#ids.set(ids, idsAt);
    this.#slots[slot] = word;
    this.#hashes[word] = hash;
    this.#characterEnds[word] = at;
    this.#idEnds[word] = idsAt + ids.length;
    this.#words++;
  }

  #endOf(ends: Int32Array): number {
    return this.#words === 0 ? 0 : ends[this.#words - 1]!;
  }

  #startAnew(mostWords: number): void {
    this.#words = 0;
    if (mostWords === this.#mostWords) {
      this.#slots.fill(-1);
      return;
    }
    this.#mostWords = mostWords;
    this.#mask = 2 * mostWords - 1;
    this.#slots = new Int32Array(2 * mostWords).fill(-1);
    this.#hashes = new Int32Array(mostWords);
    this.#characters = new Uint16Array(ROOM * mostWords);
    this.#characterEnds = new Int32Array(mostWords);
    this.#ids = new Int32Array(ROOM * mostWords);
    this.#idEnds = new Int32Array(mostWords);
  }

  #isWord(word: number, text: string, from: number, to: number): boolean {
    const characters = this.#characters;
    let at = word === 0 ? 0 : this.#characterEnds[word - 1]!;
    if (this.#characterEnds[word]! - at !== to - from) return false;
    for (let i = from; i < to; i++) if (characters[at++] !== text.charCodeAt(i)) return false;
    return true;
  }
}

function hashOf(text: string, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash ^ (hash >>> 15);
}
