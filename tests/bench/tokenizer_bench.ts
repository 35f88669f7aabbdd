/**
 * How fast the tokenizer is on the built-in corpus, on one thread, beside Hugging Face's: training on
 * the same texts, whose vocabularies must be equal, and encoding with one tokenizer.json, whose ids
 * must be.
 */

import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import { UserError } from "../../lib/errors.ts";
import type { TimingResult } from "../../lib/experiments/mod.ts";
import { millisecondsOf, type Turn } from "../../lib/measure/mod.ts";
import { loadCorpus } from "../../lib/text/mod.ts";
import { formatTokenizer, parseTokenizer, trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { type Contestant, killContestants, script, startContestant } from "./_contestant.ts";
import { factsOf, type Request, runProgram } from "./_program.ts";
import { timeTurns } from "./_timed.ts";

const VOCABULARY = 4096;

type TokenizerWork = Readonly<{
  task: "train" | "encode";
  /** A JSON file of an array of texts. */
  texts: string;
  /** A tokenizer.json, to encode with. */
  tokenizer: string;
  vocabSize: number;
  threads: 1;
}>;

function huggingFace(python: string): Contestant<TokenizerWork> {
  return {
    name: "Hugging Face",
    command: python,
    args: (work) => [script("bench_tokenizer.py"), JSON.stringify(work)],
    env: () => ({ RAYON_NUM_THREADS: "1", TOKENIZERS_PARALLELISM: "false" }),
  };
}

/**
 * The other side's turn, if there is one.
 *
 * @throws UserError when what it makes is not what was made here.
 */
async function otherTurn(
  python: string | null,
  work: TokenizerWork,
  checksum: number,
): Promise<Turn[]> {
  if (python === null) return [];
  const contestant = huggingFace(python);
  const { first, run } = await startContestant(contestant, work);
  if (first.firstLoss !== checksum) {
    throw new UserError(
      `${contestant.name}, ${work.task}: expected what is made here, found something else ` +
        `(checksums ${checksum} and ${first.firstLoss}); times of it say nothing`,
    );
  }
  return [{ name: contestant.name, run: async () => (await run(1)).ms[0]! }];
}

/** Of ids as little-endian int32, text after text. */
function checksumOfIds(ids: readonly (readonly number[] | Int32Array)[]): number {
  return ids.reduce((sum, one) => crc32(new Uint8Array(Int32Array.from(one).buffer), sum), 0);
}

/** Of the merges of a tokenizer.json, one a line. */
function checksumOfMerges(file: string): number {
  const { model: { merges } } = JSON.parse(file) as { model: { merges: [string, string][] } };
  return crc32(merges.map((pair) => [pair].flat().join(" ")).join("\n"));
}

async function measure(request: Request): Promise<TimingResult[]> {
  const { rounds, part } = request;
  const python = "tokenizers" in factsOf(request).machine.peers ? request.python : null;
  const corpus = await loadCorpus("sotu");
  const texts = corpus.train.map(({ text }) => text);
  const tokenizer = trainTokenizer(texts, { vocabSize: VOCABULARY });
  const file = formatTokenizer(tokenizer);
  const everything = [...corpus.train, ...corpus.heldOut].map(({ text }) => text);
  const encoded = everything.map(tokenizer.encode);
  const bytesOf = (all: readonly string[]) => new TextEncoder().encode(all.join("")).length;
  const inFolder = (name: string) => join(dirname(part), name);
  const workOn = (task: TokenizerWork["task"], all: readonly string[]): TokenizerWork => {
    const path = inFolder(`${task}_texts.json`);
    Deno.writeTextFileSync(path, JSON.stringify(all));
    return {
      task,
      texts: path,
      tokenizer: inFolder("tokenizer.json"),
      vocabSize: VOCABULARY,
      threads: 1,
    };
  };
  Deno.writeTextFileSync(inFolder("tokenizer.json"), file);
  const about = { bench: "tokenizer", unit: "byte", rounds };
  const amount = bytesOf(everything);
  const seenBefore = () => {
    for (const text of everything) tokenizer.encode(text);
  };
  try {
    return [
      await timeTurns({ ...about, case: `train ${VOCABULARY} entries`, amount: bytesOf(texts) }, [
        {
          name: "ours",
          run: () => millisecondsOf(() => trainTokenizer(texts, { vocabSize: VOCABULARY })),
        },
        ...await otherTurn(python, workOn("train", texts), checksumOfMerges(file)),
      ]),
      await timeTurns({ ...about, case: "encode, new tokenizer", amount }, [
        {
          name: "ours",
          run: () => {
            const fresh = parseTokenizer(file);
            return millisecondsOf(() => {
              for (const text of everything) fresh.encode(text);
            });
          },
        },
        ...await otherTurn(python, workOn("encode", everything), checksumOfIds(encoded)),
      ]),
      await timeTurns({ ...about, case: "encode, words seen before", amount }, [
        { name: "ours", run: () => millisecondsOf(seenBefore) },
      ]),
      await timeTurns({ ...about, case: "decode", amount }, [{
        name: "ours",
        run: () =>
          millisecondsOf(() => {
            for (const ids of encoded) tokenizer.decode(ids);
          }),
      }]),
    ];
  } finally {
    killContestants();
  }
}

await runProgram(measure);
