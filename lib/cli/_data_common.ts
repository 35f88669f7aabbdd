/** What subcommands of `deno task data` share: their source and its options. */
import { UserError } from "../errors.ts";
import { readFileIfPresent } from "../files.ts";
import { parseTokenizer, type Tokenizer } from "../tokenizer/mod.ts";

export const SOURCE_POSITIONAL = {
  name: "SOURCE",
  required: true,
  description: "a file, a folder, a pattern, or a name that data -- list shows",
} as const;

/** Options of every subcommand that reads a source of documents. */
export const SOURCE_OPTIONS = {
  limit: { type: "integer", min: 1, description: "only the first N documents" },
  textField: {
    type: "string",
    default: "text",
    description: "the field of a JSON line, or the column, that holds the text",
  },
} as const;

/** @throws UserError when there is no such file, or it holds no tokenizer. */
export async function readTokenizer(path: string): Promise<Tokenizer> {
  const bytes = await readFileIfPresent(path);
  if (bytes !== null) return parseTokenizer(new TextDecoder().decode(bytes), path);
  throw new UserError(
    `${path}: expected a tokenizer.json, found none; make one with ` +
      "deno task data -- tokenizer train",
  );
}
