/** Opening sources of documents by their descriptors. */

import { basename, resolve } from "node:path";
import type { DocumentSource, OpenSourceOptions, SourceDescriptor } from "./document_source.ts";
import { UserError } from "../errors.ts";
import { readLocalDocuments } from "./local_files.ts";
import { readSotu, SOTU_LICENCE } from "./sotu.ts";

/** The built-in corpus, all of it one part. */
function openSotu(): DocumentSource {
  return {
    name: "sotu",
    licence: SOTU_LICENCE,
    parts: [{ name: "sotu", version: "0.2.3", bytes: 10_761_202, documents: 233 }],
    async *read() {
      yield* await readSotu();
    },
    descriptor: { kind: "sotu" },
  };
}

/**
 * Opens a source: lists its parts, reads none of them.
 *
 * @throws UserError for a path that leads nowhere, a file that is no text, a Hub that does not answer.
 */
// deno-lint-ignore require-await
export async function openSource(
  descriptor: SourceDescriptor,
  options: OpenSourceOptions,
): Promise<DocumentSource> {
  if (descriptor.kind === "sotu") return openSotu();
  if (descriptor.kind === "local") {
    const { path, textField } = descriptor;
    return {
      name: basename(resolve(path)),
      parts: options.parts ?? [{ name: basename(path), version: "1", bytes: 1 }],
      async *read() {
        yield* await readLocalDocuments(path, textField);
      },
      descriptor,
    };
  }
  throw new UserError(`${descriptor.repository}: sources of the Hub cannot be opened yet`);
}
