/**
 * How fast the tokenizer is on the built-in corpus, one core. Run with
 * `deno bench --allow-read tests/bench/tokenizer_bench.ts`; "iter/s" of `encode` times the corpus'
 * 10.8 MB is its bytes a second.
 */

import { loadCorpus } from "../../lib/text/mod.ts";
import { formatTokenizer, parseTokenizer, trainTokenizer } from "../../lib/tokenizer/mod.ts";

const corpus = await loadCorpus("sotu");
const texts = corpus.train.map(({ text }) => text);
const tokenizer = trainTokenizer(texts, { vocabSize: 4096 });
const file = formatTokenizer(tokenizer);
const everything = [...corpus.train, ...corpus.heldOut].map(({ text }) => text);
const encoded = everything.map(tokenizer.encode);

Deno.bench("trainTokenizer() 4,096 entries on the built-in corpus", { n: 3, warmup: 0 }, () => {
  trainTokenizer(texts, { vocabSize: 4096 });
});

Deno.bench("encode() the built-in corpus, new tokenizer", { n: 5, warmup: 0 }, (bench) => {
  const fresh = parseTokenizer(file);
  bench.start();
  for (const text of everything) fresh.encode(text);
  bench.end();
});

Deno.bench("encode() the built-in corpus, words seen before", { n: 5, warmup: 0 }, () => {
  for (const text of everything) tokenizer.encode(text);
});

Deno.bench("decode() the built-in corpus", { n: 5, warmup: 0 }, () => {
  for (const ids of encoded) tokenizer.decode(ids);
});
