/** Sources in memory, a corpus of random words, and sets of shards made of them. */

import { join } from "node:path";
import { createRandom } from "../../../lib/random.ts";
import type { DocumentSource, TextDocument } from "../../../lib/text/mod.ts";
import { type Tokenizer, trainTokenizer } from "../../../lib/tokenizer/mod.ts";

const WORDS = [
  "union",
  "of",
  "states",
  "is",
  "strong",
  "über",
  "東京",
  "small",
  "🙂",
  "today",
  "\n",
];

/** Documents of 1 to 60 random words; every tenth is empty. */
export function madeDocuments(count: number, seed = 1): TextDocument[] {
  const random = createRandom(seed).stream("documents");
  return Array.from({ length: count }, (_, number) => {
    const words = Array.from(
      { length: number % 10 === 9 ? 0 : 1 + Math.floor(60 * random.uniform()) },
      () => WORDS[Math.floor(WORDS.length * random.uniform())]! + Math.floor(9 * random.uniform()),
    );
    return { id: `${number}`, text: words.join(" ") };
  });
}

export const TINY_TOKENIZER: Tokenizer = trainTokenizer(
  madeDocuments(50, 7).map(({ text }) => text),
  { vocabSize: 300 },
);

/** A source of these documents in parts of `partDocuments`, each of as many bytes as it has text. */
export function madeSource(
  documents: readonly TextDocument[],
  { partDocuments = 7, heldOutDocuments }: {
    partDocuments?: number;
    heldOutDocuments?: number;
  } = {},
): DocumentSource {
  const lists = Array.from(
    { length: Math.ceil(documents.length / partDocuments) },
    (_, part) => documents.slice(part * partDocuments, (part + 1) * partDocuments),
  );
  const parts = lists.map((list, number) => ({
    name: `part ${number}`,
    version: JSON.stringify(list),
    bytes: list.reduce((sum, { text }) => sum + text.length, 0),
    documents: list.length,
  }));
  return {
    name: "made",
    parts,
    async *read({ name }) {
      yield* await Promise.resolve(lists[parts.findIndex((part) => part.name === name)]!);
    },
    descriptor: { kind: "local", path: "made", textField: "text" },
    ...(heldOutDocuments !== undefined && { heldOutDocuments }),
  };
}

/** Small shards, several a job. */
export const SMALL = { workers: 0, shardTokens: 500, jobBytes: 3000 };

/** Every file of a folder but its lock, by name. */
export function readShards(folder: string): Map<string, Uint8Array> {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  return new Map(
    names.filter((name) => name !== "lock").sort()
      .map((name) => [name, Deno.readFileSync(join(folder, name))]),
  );
}
