/**
 * Hugging Face `tokenizer.json`: byte-level BPE as the Python package `tokenizers` writes it.
 * What is written here is, byte for byte, what that package's `save(path, pretty=True)` writes.
 */

import { UserError } from "../errors.ts";
import { spellBytes, unspellBytes } from "./byte_alphabet.ts";
import { type BpeTokenizer, createTokenizer, type Tokenizer } from "./tokenizer.ts";

type JsonObject = { readonly [key: string]: unknown };

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function describe(value: unknown): string {
  const type = isObject(value) ? value.type : undefined;
  return typeof type === "string" ? type : JSON.stringify(value)?.slice(0, 80) ?? "nothing";
}

/**
 * Reads a `tokenizer.json`. `name` stands in messages for the file.
 *
 * Only files whose ids `encode` can give exactly are accepted: model BPE without dropout, byte
 * fallback, affixes or `ignore_merges`; pre-tokenizer ByteLevel with its expression and without a
 * prefix space; no normalizer, truncation or padding; special tokens only among the added ones.
 * Anything else is a `UserError`. A post-processor is not applied: ids are those of
 * `add_special_tokens=False` (paper §7).
 */
export function parseTokenizer(json: string, name = "tokenizer.json"): BpeTokenizer {
  const fail = (expected: string, found: string): never => {
    throw new UserError(`${name}: expected ${expected}, found ${found}`);
  };
  let file: unknown;
  try {
    file = JSON.parse(json);
  } catch (error) {
    const message = (error as Error).message.replace(/\s+/g, " ");
    return fail("a Hugging Face tokenizer.json", `broken JSON (${message})`);
  }
  if (!isObject(file)) return fail("a Hugging Face tokenizer.json", "JSON that is no object");
  const model = file.model;
  if (!isObject(model)) return fail("a Hugging Face tokenizer.json", 'no "model" in it');
  checkModel(model, fail);
  checkPipeline(file, fail);

  const specialTokens = readSpecialTokens(file.added_tokens, fail);
  const idOfEntry = readVocabulary(model.vocab, specialTokens, fail);
  const tokens: Uint8Array[] = new Array(idOfEntry.size);
  for (const [entry, id] of idOfEntry) {
    if (!(id < tokens.length) || tokens[id] !== undefined) {
      fail(`ids 0 … ${tokens.length - 1}, each once`, `${JSON.stringify(entry)} with id ${id}`);
    }
    const bytes = Object.hasOwn(specialTokens, entry) ? new Uint8Array(0) : unspellBytes(entry);
    if (bytes === undefined || entry === "") {
      return fail("byte-level entries or special tokens", `entry ${JSON.stringify(entry)}`);
    }
    tokens[id] = bytes;
  }
  const merges = readMerges(model.merges, idOfEntry, specialTokens, fail);
  try {
    return createTokenizer({ tokens, specialTokens, merges });
  } catch (error) {
    if (error instanceof UserError) throw new UserError(`${name}: ${error.message}`);
    throw error;
  }
}

type Fail = (expected: string, found: string) => never;

function checkModel(model: JsonObject, fail: Fail): void {
  // Files older than the type field are recognised by their merges.
  if (model.type !== "BPE" && !(model.type === undefined && Array.isArray(model.merges))) {
    fail("a model of type BPE", describe(model));
  }
  for (const key of ["dropout", "byte_fallback", "ignore_merges"]) {
    if (model[key]) fail(`a BPE model without ${key}`, `${key} ${JSON.stringify(model[key])}`);
  }
  for (const key of ["continuing_subword_prefix", "end_of_word_suffix"]) {
    if (model[key]) fail(`a BPE model without ${key}`, JSON.stringify(model[key]));
  }
}

function checkPipeline(file: JsonObject, fail: Fail): void {
  const split = file.pre_tokenizer;
  if (!isObject(split) || split.type !== "ByteLevel") {
    return fail("a pre_tokenizer of type ByteLevel", describe(split));
  }
  if (split.add_prefix_space !== false) {
    fail("a ByteLevel pre_tokenizer with add_prefix_space false", describe(split.add_prefix_space));
  }
  if (split.use_regex === false) {
    fail("a ByteLevel pre_tokenizer with use_regex true", "false");
  }
  for (const key of ["normalizer", "truncation", "padding"]) {
    if ((file[key] ?? null) !== null) fail(`${key} null`, describe(file[key]));
  }
  const decoder = file.decoder ?? null;
  if (decoder !== null && !(isObject(decoder) && decoder.type === "ByteLevel")) {
    fail("a decoder of type ByteLevel", describe(decoder));
  }
}

function readSpecialTokens(added: unknown, fail: Fail): Record<string, number> {
  if (!Array.isArray(added)) return fail('a list "added_tokens"', describe(added));
  const specialTokens: Record<string, number> = {};
  for (const token of added) {
    if (!isObject(token) || typeof token.content !== "string" || !Number.isInteger(token.id)) {
      return fail("added_tokens with content and id", JSON.stringify(token));
    }
    if (token.special !== true) {
      fail("only special tokens among added_tokens", `"${token.content}", which is not special`);
    }
    specialTokens[token.content] = token.id as number;
  }
  return specialTokens;
}

function readVocabulary(
  vocab: unknown,
  specialTokens: Readonly<Record<string, number>>,
  fail: Fail,
): Map<string, number> {
  if (!isObject(vocab)) return fail('a "vocab" of entries and ids', describe(vocab));
  const idOfEntry = new Map<string, number>();
  for (const [entry, id] of [...Object.entries(vocab), ...Object.entries(specialTokens)]) {
    if (!Number.isInteger(id) || (id as number) < 0) {
      fail(`an id for entry ${JSON.stringify(entry)}`, JSON.stringify(id));
    }
    if (idOfEntry.has(entry) && idOfEntry.get(entry) !== id) {
      fail(`one id for ${JSON.stringify(entry)}`, `${idOfEntry.get(entry)} and ${id}`);
    }
    idOfEntry.set(entry, id as number);
  }
  return idOfEntry;
}

/** Merges in both forms: `["a", "b"]`, and `"a b"` of files before version 0.20. */
function readMerges(
  merges: unknown,
  idOfEntry: ReadonlyMap<string, number>,
  specialTokens: Readonly<Record<string, number>>,
  fail: Fail,
): [number, number][] {
  if (!Array.isArray(merges)) return fail('a list "merges"', describe(merges));
  return merges.map((merge, rank) => {
    const parts: unknown = typeof merge === "string" ? merge.split(" ") : merge;
    if (!Array.isArray(parts) || parts.length !== 2) {
      return fail(`merge ${rank} as a pair`, JSON.stringify(merge));
    }
    const [left, right] = parts.map((part) => {
      const id = idOfEntry.get(part);
      if (id === undefined || Object.hasOwn(specialTokens, part)) {
        return fail(`merge ${rank} of two entries of the vocabulary`, JSON.stringify(merge));
      }
      return id;
    });
    return [left!, right!];
  });
}

/** Writes a tokenizer made by this library as Hugging Face `tokenizer.json`. */
export function formatTokenizer(tokenizer: Tokenizer): string {
  if (!("merges" in tokenizer)) {
    throw new TypeError("formatTokenizer needs a tokenizer of trainTokenizer or parseTokenizer");
  }
  const { merges, specialTokens, vocabSize, tokenBytes } = tokenizer as BpeTokenizer;
  const nameOfSpecial = new Map(Object.entries(specialTokens).map(([name, id]) => [id, name]));
  const entries = Array.from(
    { length: vocabSize },
    (_, id) => nameOfSpecial.get(id) ?? spellBytes(tokenBytes(id)),
  );
  const file = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [...nameOfSpecial].sort((a, b) => a[0] - b[0]).map(([id, content]) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: "ByteLevel",
      add_prefix_space: false,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: VOCAB_PLACE,
      merges: Array.from(
        { length: merges.length / 2 },
        (_, rank) => [entries[merges[2 * rank]!]!, entries[merges[2 * rank + 1]!]!],
      ),
    },
  };
  // An object would put entries that look like numbers ("1984") first: the vocabulary is spelled
  // here, in the order of ids.
  const vocab = entries.map((entry, id) => `      ${JSON.stringify(entry)}: ${id}`).join(",\n");
  return JSON.stringify(file, null, 2).replace(
    JSON.stringify(VOCAB_PLACE),
    () => `{\n${vocab}\n    }`,
  );
}

/** Stands in for the vocabulary; a control character cannot occur in a byte-level entry. */
const VOCAB_PLACE = "\u0000vocab";
