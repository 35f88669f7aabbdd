/** Samples of N tokens (windows.ts) that are read from shards when they are asked for. */

import { UserError } from "../../errors.ts";
import type { Tokenizer } from "../../tokenizer/mod.ts";
import { describeWindows, type Layout, requireContext, type StoredWindows } from "../windows.ts";
import type { Side } from "./format.ts";
import type { ShardSet } from "./shard_set.ts";

const SIDE_NAMES: Readonly<Record<Side, string>> = { train: "training", heldOut: "held out" };

/**
 * The windows of one side of a set of shards, the same ones that `makeWindows` cuts of its
 * documents.
 *
 * @throws UserError when the text does not fill one window (packed) or has no document (padded),
 *   and for another tokenizer than the shards'.
 */
export function storedWindows(
  shards: ShardSet,
  side: Side,
  tokenizer: Tokenizer,
  { contextLength, layout }: Readonly<{ contextLength: number; layout: Layout }>,
): StoredWindows {
  requireContext(contextLength);
  const { manifest } = shards;
  if (manifest.tokenizer.hash !== tokenizer.hash) {
    throw new UserError(
      `${shards.folder}: expected the tokenizer of these shards, found another: use ` +
        "tokenizer.json beside them",
    );
  }
  const { documents, tokens } = manifest[side];
  const count = layout === "packed" ? Math.floor(tokens / contextLength) : documents;
  if (count === 0) {
    throw new UserError(
      `${manifest.source.name}, ${SIDE_NAMES[side]}: expected tokens for one context of ` +
        `${contextLength}, found ${tokens} in ${documents} documents: add text or shorten the ` +
        "context",
    );
  }
  const describe = describeWindows(tokenizer);
  const readRow = layout === "packed"
    ? (row: number, target: Int32Array) => shards.readIds(side, row * contextLength, target)
    : (row: number, target: Int32Array) => {
      const [start, end] = shards.tokenRange(side, row);
      const kept = Math.min(end - start, contextLength);
      target.fill(tokenizer.padId, 0, contextLength - kept);
      shards.readIds(side, start, target.subarray(contextLength - kept));
    };
  return {
    contextLength,
    count,
    layout,
    read: (rows) => {
      const ids = new Int32Array(rows.length * contextLength);
      for (let i = 0; i < rows.length; i++) {
        readRow(rows[i]!, ids.subarray(i * contextLength, (i + 1) * contextLength));
      }
      return { contextLength, count: rows.length, ids, ...describe(ids, contextLength), layout };
    },
  };
}
