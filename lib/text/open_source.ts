/** Sources by name: what a name means, and opening it. */

import { UserError } from "../errors.ts";
import { BUILT_IN, isBuiltIn } from "./built_in.ts";
import type { DocumentSource, OpenSourceOptions, SourceDescriptor } from "./document_source.ts";
import { openHubSource } from "./hub_source.ts";
import { openLocalSource, takeDocuments } from "./local_source.ts";

/** The paper's corpora by their short names (paper §7); sizes are in data/manifest.json. */
export const HUB_NAMES: Readonly<Record<string, string>> = {
  "fineweb-edu": "hf:HuggingFaceFW/fineweb-edu/sample-10BT",
  finemath: "hf:HuggingFaceTB/finemath/finemath-4plus",
};

type BuiltInDescriptor = Extract<SourceDescriptor, { kind: "built-in" }>;

export type SourceNameOptions = Readonly<{
  /** The field or column that holds the text; default "text". */
  textField?: string;
  /** The first documents only. */
  limit?: number;
}>;

/**
 * What a name means: `sotu`, `tfjs`, `fineweb-edu`, `finemath`, `hf:OWNER/NAME[/CONFIGURATION][@REVISION]`,
 * or else the path of a file or folder, or a pattern.
 *
 * @throws UserError for an `hf:` that names no dataset.
 */
export function parseSource(
  name: string,
  { textField = "text", limit }: SourceNameOptions = {},
): SourceDescriptor {
  const limited = limit === undefined ? {} : { limit };
  if (isBuiltIn(name)) return { kind: "built-in", name, ...limited };
  const address = Object.hasOwn(HUB_NAMES, name) ? HUB_NAMES[name]! : name;
  if (!address.startsWith("hf:")) return { kind: "local", path: name, textField, ...limited };
  const part = "[A-Za-z0-9][A-Za-z0-9._-]*";
  const form = new RegExp(`^hf:(${part}/${part})((?:/${part})*)(?:@(${part}(?:/${part})*))?$`);
  const [, repository, configuration, revision = "main"] = form.exec(address) ?? [];
  if (repository === undefined) {
    throw new UserError(
      `expected hf:OWNER/NAME, hf:OWNER/NAME/CONFIGURATION or either with @REVISION, found ${name}`,
    );
  }
  return {
    kind: "hub",
    repository,
    ...(configuration && { configuration: configuration.slice(1) }),
    revision,
    textField,
    ...limited,
  };
}

/** A built-in corpus, all of it one part. */
function openBuiltIn(descriptor: BuiltInDescriptor): DocumentSource {
  const { name, limit = Infinity } = descriptor;
  const { licence, part, read } = BUILT_IN[name];
  async function* documents() {
    yield await read();
  }
  return {
    name,
    licence,
    parts: [{ ...part, documents: Math.min(limit, part.documents) }],
    read: (part, options) =>
      takeDocuments(documents(), part.documents ?? Infinity, options?.signal),
    descriptor,
  };
}

/**
 * Opens a source: lists its parts, reads none of them.
 *
 * @throws UserError for a path that leads nowhere, a file that is no text, a Hub that does not answer.
 */
export async function openSource(
  descriptor: SourceDescriptor,
  options: OpenSourceOptions,
): Promise<DocumentSource> {
  if (descriptor.kind === "built-in") return openBuiltIn(descriptor);
  return descriptor.kind === "local"
    ? await openLocalSource(descriptor, options)
    : await openHubSource(descriptor, options);
}
