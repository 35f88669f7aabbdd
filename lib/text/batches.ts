/** Windows in batches: shuffled without end for training, in order for evaluation. */

import { UserError } from "../errors.ts";
import { createRandom } from "../random.ts";
import { StoredOrder } from "./window_order.ts";
import { isStored, type StoredWindows, type WindowIds } from "./windows.ts";

/** Where a `BatchIterator` stands; plain data, stored in checkpoints. */
export interface BatchPosition {
  readonly epoch: number;
  /** Batches of this epoch already given. */
  readonly index: number;
}

function checkBatchSize(batchSize: number): void {
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new UserError(`expected a batch of 1 window or more, found ${batchSize}`);
  }
}

/** @throws UserError when a batch cannot be divided into so many equal parts. */
export function checkParts(batchSize: number, parts: number): void {
  if (batchSize % parts === 0) return;
  throw new UserError(
    `expected a batch that ${parts} workers can share equally, found ${batchSize} windows: use a ` +
      `multiple of ${parts}`,
  );
}

/** Rows of windows, B × N row by row: their ids, and their values where the windows have them. */
export type WindowRows = Pick<WindowIds, "ids" | "values">;

/**
 * Windows, given by number, row after row.
 *
 * @throws RangeError when there is not one value for every id.
 */
export function gatherRows(
  windows: WindowIds | StoredWindows,
  rows: ArrayLike<number>,
): WindowRows {
  if (isStored(windows)) return { ids: windows.read(rows).ids };
  const { contextLength, ids, values } = windows;
  if (values !== undefined && values.length !== ids.length) {
    throw new RangeError(`expected ${ids.length} values, one a token, found ${values.length}`);
  }
  const gather = <A extends Int32Array | Float32Array>(from: A, to: A): A => {
    for (let i = 0; i < rows.length; i++) {
      const start = rows[i]! * contextLength;
      to.set(from.subarray(start, start + contextLength), i * contextLength);
    }
    return to;
  };
  const size = rows.length * contextLength;
  const gathered = gather(ids, new Int32Array(size));
  return values === undefined
    ? { ids: gathered }
    : { ids: gathered, values: gather(values, new Float32Array(size)) };
}

/** The numbers of windows, in the order of an epoch. */
interface EpochOrder {
  rows(start: number, count: number): Int32Array;
}

function epochOrder(
  windows: WindowIds | StoredWindows,
  { seed, epoch }: { readonly seed: number; readonly epoch: number },
): EpochOrder {
  if (isStored(windows)) return new StoredOrder(windows, { seed, epoch });
  const order = createRandom(seed).stream(`batches of epoch ${epoch}`).permutation(windows.count);
  return { rows: (start, count) => order.subarray(start, start + count) };
}

/** One of several equal parts of every batch. */
export interface BatchPart {
  readonly index: number;
  readonly count: number;
}

/**
 * Batches of windows without end. Every epoch goes through the windows in an order of its own, a
 * pure function of seed and epoch, and drops the windows left over from full batches; so the
 * position alone is enough to go on exactly where another iterator stopped. Windows in memory are
 * shuffled as a whole, stored ones so that few bytes are read twice (window_order.ts).
 */
export class BatchIterator {
  readonly #windows: WindowIds | StoredWindows;
  readonly #batchSize: number;
  readonly #seed: number;
  readonly #batchesPerEpoch: number;
  readonly #part: BatchPart;
  #epoch: number;
  #index: number;
  #order: EpochOrder | undefined;

  /**
   * With a `part`, only its rows are read and given: the batches are the same, whatever the number
   * of parts. Throws `UserError` if a batch is larger than the windows or has no such parts, or the
   * position lies outside.
   */
  constructor(
    windows: WindowIds | StoredWindows,
    options: {
      readonly batchSize: number;
      readonly seed: number;
      readonly position?: BatchPosition;
      readonly part?: BatchPart;
    },
  ) {
    const { batchSize, seed, position = { epoch: 0, index: 0 } } = options;
    const { part = { index: 0, count: 1 } } = options;
    checkBatchSize(batchSize);
    checkParts(batchSize, part.count);
    this.#part = part;
    if (batchSize > windows.count) {
      throw new UserError(
        `expected a batch of at most ${windows.count} windows, found ${batchSize}: ` +
          `use a smaller batch, a shorter context or more text`,
      );
    }
    if (!Number.isSafeInteger(seed)) throw new UserError(`expected an integer seed, found ${seed}`);
    this.#windows = windows;
    this.#batchSize = batchSize;
    this.#seed = seed;
    this.#batchesPerEpoch = Math.floor(windows.count / batchSize);
    const { epoch, index } = position;
    if (
      !Number.isSafeInteger(epoch) || epoch < 0 || !Number.isInteger(index) || index < 0 ||
      index >= this.#batchesPerEpoch
    ) {
      throw new UserError(
        `expected a position of epoch ≥ 0 and index 0 … ${this.#batchesPerEpoch - 1}, found ` +
          `epoch ${epoch}, index ${index}: resume with the data and batch size of the run`,
      );
    }
    this.#epoch = epoch;
    this.#index = index;
  }

  /** Where the next batch comes from. */
  get position(): BatchPosition {
    return { epoch: this.#epoch, index: this.#index };
  }

  /** The next batch and the epoch it belongs to. */
  next(): WindowRows & { readonly epoch: number } {
    const epoch = this.#epoch;
    this.#order ??= epochOrder(this.#windows, { seed: this.#seed, epoch });
    const size = this.#batchSize / this.#part.count;
    const start = this.#index * this.#batchSize + this.#part.index * size;
    const order = this.#order.rows(start, size);
    const rows = gatherRows(this.#windows, order);
    this.#index++;
    if (this.#index === this.#batchesPerEpoch) {
      this.#epoch++;
      this.#index = 0;
      this.#order = undefined;
    }
    return { ...rows, epoch };
  }
}

/**
 * All windows once, in order. `start` is the number of a batch's first window. The last batch is
 * filled up by repeating its last window, so that all batches have one shape; `rows` says how many
 * of its rows count.
 */
export function* batchesInOrder(
  windows: WindowIds | StoredWindows,
  batchSize: number,
): Generator<WindowRows & { readonly start: number; readonly rows: number }> {
  checkBatchSize(batchSize);
  for (let start = 0; start < windows.count; start += batchSize) {
    const rows = Math.min(batchSize, windows.count - start);
    const numbers = Array.from({ length: batchSize }, (_, i) => start + Math.min(i, rows - 1));
    yield { ...gatherRows(windows, numbers), start, rows };
  }
}
