/** How fast the tokenizer is on the built-in corpus, on one core. `deno task bench tokenizer`. */

import { loadCorpus } from "../../lib/text/mod.ts";
import { formatTokenizer, parseTokenizer, trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { median, millisecondsOf } from "./_measure.ts";
import { type Request, type Result, runProgram } from "./_program.ts";

const VOCABULARY = 4096;

async function measure({ rounds }: Request): Promise<Result[]> {
  const corpus = await loadCorpus("sotu");
  const texts = corpus.train.map(({ text }) => text);
  const tokenizer = trainTokenizer(texts, { vocabSize: VOCABULARY });
  const file = formatTokenizer(tokenizer);
  const everything = [...corpus.train, ...corpus.heldOut].map(({ text }) => text);
  const encoded = everything.map(tokenizer.encode);
  const bytesOf = (all: readonly string[]) => new TextEncoder().encode(all.join("")).length;
  const bytes = bytesOf(everything);
  const rows: [what: string, bytes: number, milliseconds: number[]][] = [
    [
      `train ${VOCABULARY} entries`,
      bytesOf(texts),
      millisecondsOf(rounds, () => {}, () => trainTokenizer(texts, { vocabSize: VOCABULARY })),
    ],
    [
      "encode, new tokenizer",
      bytes,
      millisecondsOf(rounds, () => parseTokenizer(file), (fresh) => {
        for (const text of everything) fresh.encode(text);
      }),
    ],
    [
      "encode, words seen before",
      bytes,
      millisecondsOf(rounds, () => {}, () => {
        for (const text of everything) tokenizer.encode(text);
      }),
    ],
    [
      "decode",
      bytes,
      millisecondsOf(rounds, () => {}, () => {
        for (const ids of encoded) tokenizer.decode(ids);
      }),
    ],
  ];
  return rows.map(([what, bytes, ms]) => {
    const megabytesPerSecond = bytes / median(ms) / 1000;
    console.log(
      `${what.padEnd(28)}${median(ms).toFixed(0).padStart(6)} ms ${
        megabytesPerSecond.toFixed(1).padStart(7)
      } MB/s`,
    );
    return { bench: "tokenizer", case: what, bytes, ms, megabytesPerSecond };
  });
}

await runProgram(measure);
