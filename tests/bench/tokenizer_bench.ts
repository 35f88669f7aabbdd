/** How fast the tokenizer is on the built-in corpus, on one core. `deno task bench tokenizer`. */

import { loadCorpus } from "../../lib/text/mod.ts";
import { formatTokenizer, parseTokenizer, trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { medianMilliseconds } from "./_measure.ts";

const corpus = await loadCorpus("sotu");
const texts = corpus.train.map(({ text }) => text);
const tokenizer = trainTokenizer(texts, { vocabSize: 4096 });
const file = formatTokenizer(tokenizer);
const everything = [...corpus.train, ...corpus.heldOut].map(({ text }) => text);
const encoded = everything.map(tokenizer.encode);
const megabytes = new TextEncoder().encode(everything.join("")).length / 1e6;

const rows: [what: string, milliseconds: number][] = [
  [
    "train 4,096 entries",
    medianMilliseconds(3, () => {}, () => trainTokenizer(texts, { vocabSize: 4096 })),
  ],
  [
    "encode, new tokenizer",
    medianMilliseconds(5, () => parseTokenizer(file), (fresh) => {
      for (const text of everything) fresh.encode(text);
    }),
  ],
  [
    "encode, words seen before",
    medianMilliseconds(5, () => {}, () => {
      for (const text of everything) tokenizer.encode(text);
    }),
  ],
  [
    "decode",
    medianMilliseconds(5, () => {}, () => {
      for (const ids of encoded) tokenizer.decode(ids);
    }),
  ],
];
console.log(`built-in corpus, ${megabytes.toFixed(1)} MB`);
for (const [what, milliseconds] of rows) {
  const rate = (1000 * megabytes / milliseconds).toFixed(1);
  console.log(
    `${what.padEnd(28)}${milliseconds.toFixed(0).padStart(6)} ms ${rate.padStart(7)} MB/s`,
  );
}
