/**
 * Which documents of a source are held out from training, told document by document, in any order
 * and any thread: the first ones where the source says so (paper §7), else those whose content's
 * SHA-256 lies in the lowest tenth, so that documents of equal content are on the same side.
 */

import { createHash } from "node:crypto";
import { UserError } from "../../errors.ts";
import type { DocumentSource } from "../document_source.ts";
import type { Side } from "./format.ts";

export type Split =
  | Readonly<{ by: "content" }>
  | Readonly<{ by: "number"; heldOut: number }>;

const HELD_OUT_SHARE = 0.1;

/**
 * The split of a source.
 *
 * @throws UserError for one with a split by number that does not tell how many documents its parts
 *   have: documents are numbered in any thread.
 */
export function splitOf({ name, parts, heldOutDocuments }: DocumentSource): Split {
  if (heldOutDocuments === undefined) return { by: "content" };
  const unknown = parts.find(({ documents }) => documents === undefined);
  if (unknown !== undefined) {
    throw new UserError(
      `${name}: expected the number of documents of every part, as its first ` +
        `${heldOutDocuments} are held out, found none of ${unknown.name}`,
    );
  }
  return { by: "number", heldOut: heldOutDocuments };
}

/** @param number Of the document in its source, from 0. */
export function sideOf(split: Split, number: number, text: string): Side {
  if (split.by === "number") return number < split.heldOut ? "heldOut" : "train";
  const share = createHash("sha256").update(text).digest().readUInt32BE(0) / 2 ** 32;
  return share < HELD_OUT_SHARE ? "heldOut" : "train";
}
