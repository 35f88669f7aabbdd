/**
 * Tokenizes a folder with small shards, as a process of its own:
 * `_tokenize_process.ts TEXTS TOKENIZER SHARDS WORKERS`.
 */

import { openSource, tokenizeSource } from "../../../lib/text/mod.ts";
import { parseTokenizer } from "../../../lib/tokenizer/mod.ts";

const [path, tokenizer, shardsFolder, workers] = Deno.args as [string, string, string, string];
const open = { cacheFolder: shardsFolder };
const source = await openSource({ kind: "local", path, textField: "text" }, open);
const { folder } = await tokenizeSource(source, parseTokenizer(Deno.readTextFileSync(tokenizer)), {
  shardsFolder,
  open,
  workers: Number(workers),
  shardTokens: 50_000,
  jobBytes: 1_000_000,
});
console.log(folder);
