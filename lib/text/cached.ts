/** What is made once of a text and kept: it takes seconds to hours to make. */

import { readCacheFile, writeCacheFile } from "../cache_file.ts";
import { formatTokenizer, parseTokenizer, type Tokenizer } from "../tokenizer/mod.ts";

type Built<Value> = { value: Value; content: Uint8Array };

/** The cached content if it is intact and `parse` takes it, else what `build` makes, stored. */
export async function cached<Value>(
  path: string,
  log: (line: string) => void,
  parse: (content: Uint8Array) => Value,
  build: () => Built<Value> | Promise<Built<Value>>,
): Promise<Value> {
  const content = await readCacheFile(path);
  if (content === "damaged") log(`cache ${path} is damaged: making it anew`);
  if (content instanceof Uint8Array) return parse(content);
  const built = await build();
  await writeCacheFile(path, built.content);
  return built.value;
}

/** The tokenizer in the cache, else the one that `train` gives, stored. */
export async function cachedTokenizer(
  path: string,
  { name, vocabSize, log }: Readonly<{
    /** Of the text. */
    name: string;
    /** Entries wanted. */
    vocabSize: number;
    log: (line: string) => void;
  }>,
  train: () => Tokenizer | Promise<Tokenizer>,
): Promise<Tokenizer> {
  const tokenizer = await cached(
    path,
    log,
    (content) => parseTokenizer(new TextDecoder().decode(content), path),
    async () => {
      log(`training a tokenizer of ${vocabSize} entries on ${name}`);
      const value = await train();
      return { value, content: new TextEncoder().encode(formatTokenizer(value)) };
    },
  );
  if (tokenizer.vocabSize < vocabSize) {
    log(`${name} has text for ${tokenizer.vocabSize} of ${vocabSize} tokenizer entries`);
  }
  return tokenizer;
}
