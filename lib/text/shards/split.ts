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

/** The share that is held out by content, and the largest one that is by number. */
const HELD_OUT_SHARE = 0.1;

/**
 * The split of a source. Of a sample that is smaller than ten times what the source holds out, the
 * first tenth is held out, so that there is something left to train on.
 *
 * @throws UserError for a source with a split by number that does not tell how many documents there
 *   are.
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
  const documents = parts.reduce((sum, part) => sum + part.documents!, 0);
  const most = Math.max(1, Math.floor(documents * HELD_OUT_SHARE));
  return { by: "number", heldOut: Math.min(heldOutDocuments, most) };
}

/** @param number Of the document in its source, from 0. */
export function sideOf(split: Split, number: number, text: string): Side {
  if (split.by === "number") return number < split.heldOut ? "heldOut" : "train";
  const share = createHash("sha256").update(text).digest().readUInt32BE(0) / 2 ** 32;
  return share < HELD_OUT_SHARE ? "heldOut" : "train";
}
