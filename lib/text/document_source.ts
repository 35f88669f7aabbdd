/**
 * Where documents come from, at any size: a list of parts that never changes while it is the same
 * text, each read in one go, in bounded memory, in an order that never changes.
 */

import type { TextDocument } from "./document.ts";
import type { BuiltInName } from "./built_in.ts";
import type { RetryPolicy } from "./http.ts";

/** A file, or a row group of one: what is read as a whole, and what reading resumes at. */
export type SourcePart = Readonly<{
  /** Unique in its source: `web/a.jsonl.gz`, `000_00000.parquet#12`. */
  name: string;
  /** Changes with the content: equal names and versions are equal documents. */
  version: string;
  /** What it takes to read it, stored and compressed as it is. */
  bytes: number;
  /** How many documents are read of it, where that is known beforehand. */
  documents?: number;
}>;

/** JSON from which `openSource` opens the same source, in another thread or at another time. */
export type SourceDescriptor =
  | Readonly<{ kind: "built-in"; name: BuiltInName; limit?: number }>
  | Readonly<{
    kind: "local";
    /** A file, a folder, or a pattern such as `texts/*.jsonl`. */
    path: string;
    /** The field of a JSON line, or the column of a Parquet file, that holds the text. */
    textField: string;
    /** The first documents only. */
    limit?: number;
  }>
  | Readonly<{
    kind: "hub";
    /** `OWNER/NAME` of a dataset of the Hugging Face Hub. */
    repository: string;
    /** One of its configurations: `sample-10BT`. The repository's only one without it. */
    configuration?: string;
    /** A branch, a tag or a commit; of an opened source it is a commit. */
    revision: string;
    textField: string;
    limit?: number;
  }>;

export type DocumentSource = Readonly<{
  name: string;
  licence?: string;
  /** In order; equal lists give equal documents. */
  parts: readonly SourcePart[];
  /**
   * So many documents, the first ones, are held out from training (paper §7). Without it the source
   * has no split of its own: corpus.ts has one by content.
   */
  heldOutDocuments?: number;
  /**
   * The documents of one part, in an order that never changes. Needs only the part itself, which
   * may have come from another thread. Rows of Parquet may have no text and be empty documents.
   * Throws the signal's reason when that aborts.
   *
   * @throws UserError, with file and line or row, for what cannot be read, and for a part that is
   * no longer of the version given.
   */
  read(
    part: SourcePart,
    options?: Readonly<{ signal?: AbortSignal }>,
  ): AsyncIterable<TextDocument>;
  descriptor: SourceDescriptor;
}>;

/** What opening takes that does not change the documents. All but the functions can be cloned. */
export type OpenSourceOptions = Readonly<{
  /** Where sources of the Hub are kept: `<folder>/hub/…`. */
  cacheFolder: string;
  /** As listed before, e.g. in the main thread: they are not listed anew. */
  parts?: readonly SourcePart[];
  /** Of the Hub; default https://huggingface.co. */
  endpoint?: string;
  /** The Hub's access token; sent to no other host. Not part of a descriptor, which is stored. */
  token?: string;
  /** How often and how long failing requests to the Hub are tried again; see http.ts. */
  retry?: Partial<RetryPolicy>;
  signal?: AbortSignal;
  /** Receives a line for each thing that takes time or goes wrong and is tried again. */
  log?: (line: string) => void;
}>;
