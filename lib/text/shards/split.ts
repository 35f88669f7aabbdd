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

/**
 * Checks that there is something to train on and something held out.
 *
 * @param counts Documents of either side that have text.
 * @throws UserError where a side has none.
 */
export function requireSides(
  { name, heldOutDocuments }: Pick<DocumentSource, "name" | "heldOutDocuments">,
  { train, heldOut }: Readonly<Record<Side, number>>,
): void {
  if (train > 0 && heldOut > 0) return;
  const found = `${name}: expected documents on both sides, found ${train + heldOut}`;
  if (train + heldOut === 0) throw new UserError(`${found}: add text`);
  const held = heldOut === 0 ? "none is held out" : "all are held out";
  throw new UserError(
    heldOutDocuments === undefined
      ? `${found}, of which by their SHA-256 ${held}: cut them into ten or more`
      : `${found}, of which by their numbers ${held}: take more`,
  );
}
