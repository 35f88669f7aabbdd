import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { formatTokenizer, parseTokenizer, trainTokenizer } from "../../lib/tokenizer/mod.ts";

const tokenizer = trainTokenizer(['in 1984 or 1984, the the the "quoted\\" __proto__ '], {
  vocabSize: 280,
});
const file = formatTokenizer(tokenizer);

// deno-lint-ignore no-explicit-any
type Json = any;

/** The file after a change. */
function changed(change: (file: Json) => void): string {
  const copy = JSON.parse(file);
  change(copy);
  return JSON.stringify(copy);
}

Deno.test("parseTokenizer() reads what formatTokenizer() writes", () => {
  const again = parseTokenizer(file);
  assert.equal(again.hash, tokenizer.hash);
  assert.deepEqual(again.merges, tokenizer.merges);
  assert.deepEqual(again.specialTokens, tokenizer.specialTokens);
  assert.deepEqual(again.encode("the 1984"), tokenizer.encode("the 1984"));
  assert.equal(formatTokenizer(again), file);
});

Deno.test("formatTokenizer() lists the vocabulary in the order of ids", () => {
  const ids = [...file.slice(file.indexOf('"vocab"')).matchAll(/^ {6}".*": (\d+),?$/gm)].map((
    match,
  ) => Number(match[1]));
  assert.deepEqual(ids, Array.from({ length: tokenizer.vocabSize }, (_, id) => id));
});

Deno.test("formatTokenizer() needs a tokenizer with merges", () => {
  const { merges: _, ...bare } = tokenizer;
  assert.throws(() => formatTokenizer(bare), TypeError);
});

Deno.test("parseTokenizer() reads merges written as strings", () => {
  const old = changed(({ model }) => {
    model.merges = model.merges.map((pair: string[]) => pair.join(" "));
  });
  assert.equal(parseTokenizer(old).hash, tokenizer.hash);
});

Deno.test("parseTokenizer() reads the older form: no type, empty affixes, specials outside", () => {
  const old = changed(({ model, added_tokens }) => {
    delete model.type;
    delete model.byte_fallback;
    delete model.ignore_merges;
    model.continuing_subword_prefix = model.end_of_word_suffix = "";
    for (const { content } of added_tokens) delete model.vocab[content];
  });
  assert.equal(parseTokenizer(old).hash, tokenizer.hash);
});

Deno.test("parseTokenizer() reads one end-of-text token as both", () => {
  const both = changed((copy) => {
    const last = copy.added_tokens.pop();
    delete copy.model.vocab[last.content];
    for (const key of Object.keys(copy.model.vocab)) {
      if (copy.model.vocab[key] > last.id) copy.model.vocab[key]--;
    }
    delete copy.model.vocab["<|begin_of_text|>"];
    copy.model.vocab["<|endoftext|>"] = 0;
    copy.added_tokens[0].content = "<|endoftext|>";
  });
  const read = parseTokenizer(both);
  assert.deepEqual([read.bosId, read.padId, read.vocabSize], [0, 0, tokenizer.vocabSize - 1]);
});

Deno.test("parseTokenizer() refuses what it could not encode exactly", () => {
  const refuses = (json: string, message: string) =>
    assert.throws(() => parseTokenizer(json, "my.json"), new UserError(`my.json: ${message}`));
  const refusesChange = (change: (file: Json) => void, message: string) =>
    refuses(changed(change), message);

  assert.throws(
    () => parseTokenizer("{\n\n!", "my.json"),
    (error) =>
      error instanceof UserError &&
      /^my\.json: expected a Hugging Face tokenizer\.json, found broken JSON \(.+\)$/.test(
        error.message,
      ),
  );
  refuses("[]", "expected a Hugging Face tokenizer.json, found JSON that is no object");
  refuses("{}", 'expected a Hugging Face tokenizer.json, found no "model" in it');
  refusesChange(
    ({ model }) => model.type = "Unigram",
    "expected a model of type BPE, found Unigram",
  );
  refusesChange(
    ({ model }) => model.dropout = 0.1,
    "expected a BPE model without dropout, found dropout 0.1",
  );
  refusesChange(
    ({ model }) => model.byte_fallback = true,
    "expected a BPE model without byte_fallback, found byte_fallback true",
  );
  refusesChange(
    ({ model }) => model.ignore_merges = true,
    "expected a BPE model without ignore_merges, found ignore_merges true",
  );
  refusesChange(
    ({ model }) => model.end_of_word_suffix = "</w>",
    'expected a BPE model without end_of_word_suffix, found "</w>"',
  );
  refusesChange(
    (copy) => copy.pre_tokenizer = { type: "Metaspace" },
    "expected a pre_tokenizer of type ByteLevel, found Metaspace",
  );
  refusesChange(
    (copy) => copy.pre_tokenizer = null,
    "expected a pre_tokenizer of type ByteLevel, found null",
  );
  refusesChange(
    (copy) => copy.pre_tokenizer.add_prefix_space = true,
    "expected a ByteLevel pre_tokenizer with add_prefix_space false, found true",
  );
  refusesChange(
    (copy) => copy.pre_tokenizer.use_regex = false,
    "expected a ByteLevel pre_tokenizer with use_regex true, found false",
  );
  refusesChange(
    (copy) => copy.normalizer = { type: "NFC" },
    "expected normalizer null, found NFC",
  );
  refusesChange(
    (copy) => copy.truncation = { max_length: 8 },
    'expected truncation null, found {"max_length":8}',
  );
  refusesChange(
    (copy) => copy.decoder = { type: "WordPiece" },
    "expected a decoder of type ByteLevel, found WordPiece",
  );
  refusesChange(
    (copy) => delete copy.added_tokens,
    'expected a list "added_tokens", found nothing',
  );
  refusesChange(
    (copy) => copy.added_tokens[0] = { content: "x" },
    'expected added_tokens with content and id, found {"content":"x"}',
  );
  refusesChange(
    (copy) => copy.added_tokens[0].special = false,
    'expected only special tokens among added_tokens, found "<|begin_of_text|>", ' +
      "which is not special",
  );
  refusesChange(
    ({ model }) => model.vocab = ["a"],
    'expected a "vocab" of entries and ids, found ["a"]',
  );
  refusesChange(({ model }) => model.vocab["!"] = -1, 'expected an id for entry "!", found -1');
  refusesChange(
    (copy) => copy.added_tokens[0].id = 7,
    'expected one id for "<|begin_of_text|>", found 0 and 7',
  );
  refusesChange(
    ({ model }) => model.vocab["!"] = 500,
    `expected ids 0 … ${tokenizer.vocabSize - 1}, each once, found "!" with id 500`,
  );
  refusesChange(
    ({ model }) => model.vocab["!"] = 3,
    `expected ids 0 … ${tokenizer.vocabSize - 1}, each once, found "\\"" with id 3`,
  );
  refusesChange(
    ({ model }) => model.vocab["a b"] = tokenizer.vocabSize,
    'expected byte-level entries or special tokens, found entry "a b"',
  );
  refusesChange(
    ({ model }) => model.vocab[""] = tokenizer.vocabSize,
    'expected byte-level entries or special tokens, found entry ""',
  );
  refusesChange(({ model }) => model.merges = {}, 'expected a list "merges", found {}');
  refusesChange(
    ({ model }) => model.merges[1] = ["t"],
    'expected merge 1 as a pair, found ["t"]',
  );
  refusesChange(
    ({ model }) => model.merges[1] = ["t", "東"],
    'expected merge 1 of two entries of the vocabulary, found ["t","東"]',
  );
  refusesChange(
    ({ model }) => model.merges[0] = ["<|begin_of_text|>", "t"],
    'expected merge 0 of two entries of the vocabulary, found ["<|begin_of_text|>","t"]',
  );
  refusesChange(
    ({ model }) => model.merges[0] = ["!", "!"],
    'expected merge 0 to give a token, found no token "!!"',
  );
});
