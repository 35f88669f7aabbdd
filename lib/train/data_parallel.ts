/**
 * One model trained by several processes: each computes the gradient of its rows of every batch,
 * TensorFlow sums them, and all make the same update. What is summed are losses and numbers of scored
 * tokens, so that their quotient is the mean over the whole batch even where the parts have different
 * numbers of them.
 *
 * All that workers tell each other in a step goes with the gradients, in the same few flat tensors:
 *
 *   [∂loss/∂parameters …, loss, scored tokens, wish to stop, saved step, fingerprints]
 */

import {
  add,
  type Compiler,
  concat,
  dispose,
  disposeTree,
  div,
  fingerprint,
  jit,
  keep,
  leavesOf,
  maximum,
  mul,
  reshape,
  slice,
  type Tensor,
  tensor,
  valueAndGradient,
  withLeaves,
  type Workers,
} from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import type { BatchOptions, Model, ModelConfig } from "../models/mod.ts";
import {
  type BatchPart,
  checkParts,
  isStored,
  type StoredWindows,
  type WindowIds,
} from "../text/mod.ts";
import { adamw, type AdamWConfig, type TrainState } from "./adamw.ts";
import { evaluate, type LossEvaluator } from "./evaluate.ts";
import {
  type Frozen,
  joinModel,
  type LossOptions,
  penaltyTerms,
  type StepBatch,
  type Trainable,
  trainingLoss,
} from "./step.ts";

/** Numbers in a flat tensor: 64 MB, so that few are needed and none is too large to be sent. */
const BUCKET_NUMBERS = 1 << 24;

/** What a step needs to know beside its batch. */
export type StepOptions = Readonly<{
  /** Updates made so far. */
  step: number;
  /** Whether this worker wants to stop. */
  stop: boolean;
  /**
   * Which state is compared, that of all workers being the same wherever one of them may save it:
   * the one that the step gives, or the one before it, where the step is not to be adopted.
   */
  compare: "before" | "after" | null;
}>;

export type ParallelResult = Readonly<{
  state: TrainState<Trainable>;
  loss: Tensor;
  gradientNorm: Tensor;
  /** Whether all workers stop behind this step, as some of them want: what it gives was compared. */
  stop: boolean;
}>;

/** The other workers, as the loop uses them. */
export type DataParallel = Readonly<{
  /** Of every batch. */
  part: BatchPart;
  /** Worker 0 keeps here the step of its last checkpoint; the others learn of it. */
  saved: { step: number | null };
  /**
   * A training step of all workers together. The one after a wish to stop compares what it gives,
   * too, so that all can stop with what they may save.
   *
   * @throws WorkersError when a worker is lost, or has another state than worker 0.
   */
  step(
    state: TrainState<Trainable>,
    frozen: Frozen,
    scalars: Tensor,
    batch: StepBatch,
    options: StepOptions,
  ): Promise<ParallelResult>;
  /** The loss over all of `windows`, of which each worker evaluates a part. */
  evaluate(
    evaluator: LossEvaluator,
    model: Model,
    windows: WindowIds | StoredWindows,
    batchSize: number,
  ): Promise<{ lossNats: number; scoredTokens: number }>;
  dispose(): void;
}>;

/**
 * Checks that a run gives the same losses on any number of workers.
 *
 * @throws UserError for what depends on which rows of a batch are together in one process.
 */
export function checkDataParallel(
  { batchSize, objective, attentionDropout, qat }: LossOptions & { readonly batchSize: number },
  workers: number,
): void {
  checkParts(batchSize, workers);
  const found = objective?.form === "flooding"
    ? "the loss form flooding, which depends on the mean of a whole batch"
    : attentionDropout !== undefined
    ? "attention dropout, which is drawn for a whole batch"
    : qat !== undefined && qat.at !== "weights"
    ? `${qat.method} at ${qat.at}, which depends on a whole batch`
    : null;
  if (found === null) return;
  throw new UserError(
    `expected a run of which ${workers} workers can share each batch, found ${found}; train it in ` +
      "one process",
  );
}

/** Compiles forward and backward pass, and the update, lazily. */
export function compileDataParallel(
  config: ModelConfig,
  options: BatchOptions,
  optimizer: AdamWConfig,
  compiler: Compiler,
  lossOptions: LossOptions,
  workers: Workers,
): DataParallel {
  const gradients = jit(
    "gradients",
    (params: Trainable, frozen: Frozen, batch: StepBatch, notice: Tensor) => {
      let scored: Tensor | undefined;
      const { value, gradient } = valueAndGradient((params) => {
        const model = joinModel(params, frozen);
        const part = trainingLoss(config, model, batch, options, lossOptions);
        const tokens = keep(part.scored);
        scored = tokens;
        // Divided by all scored tokens in the end, a penalty counts once.
        return penaltyTerms(params, lossOptions.penalties)
          .reduce((total, term) => add(total, mul(term, tokens)), part.loss);
      }, params);
      const pieces = [...leavesOf(gradient), value, scored!, notice];
      const flat = pieces.map((piece) => reshape(piece, [-1]));
      const buckets = bucketsOf(flat.map(({ size }) => size))
        .map((bucket) => concat(bucket.map((place) => flat[place]!)));
      dispose(scored!);
      return buckets;
    },
    { compiler },
  );
  const update = jit(
    "update",
    (state: TrainState<Trainable>, scalars: Tensor, buckets: readonly Tensor[], notice: Tensor) => {
      const params = leavesOf(state.params);
      const sizes = [...params.map(({ size }) => size), 1, 1, notice.size];
      const pieces = bucketsOf(sizes).flatMap((bucket, number) => {
        let start = 0;
        return bucket.map((place) => {
          start += sizes[place]!;
          return slice(buckets[number]!, [start - sizes[place]!], [sizes[place]!]);
        });
      });
      const [total, scored, notices] = pieces.slice(-3) as [Tensor, Tensor, Tensor];
      const tokens = maximum(scored, 1);
      const gradient = withLeaves(
        state.params,
        params.map(({ shape }, i) => reshape(div(pieces[i]!, tokens), shape)),
      );
      return { ...adamw(state, gradient, scalars, optimizer), loss: div(total, tokens), notices };
    },
    { compiler },
  );
  const compared = jit("fingerprint", fingerprint, { compiler: "graph" });
  const part: BatchPart = { index: workers.index, count: workers.count };
  const saved: DataParallel["saved"] = { step: null };
  /** Whether some worker wanted to stop in the step before. */
  let isStopWanted = false;
  const printsOf = async (state: TrainState<Trainable>): Promise<readonly string[]> => {
    const print = readNumber(compared(state));
    const own = tensor(formatNotice(part, { stop: false, saved: null, print }));
    const [sum] = await workers.allReduceSum([own]).finally(() => own.dispose());
    const { prints } = parseNotices(await sum!.data() as Float32Array);
    sum!.dispose();
    return prints;
  };
  const refuseDifferent = async (prints: readonly string[], step: number): Promise<void> => {
    const other = prints.findIndex((print) => print !== prints[0]);
    if (other < 0) return;
    await workers.refuse(
      `${workers.nameOf(other)} has other parameters than worker 0 after step ${step}: its ` +
        "processor or library computes otherwise, or its memory fails; use machines of one kind",
    );
  };

  return {
    part,
    saved,
    async step(state, frozen, scalars, batch, { step, stop, compare }) {
      const isCompared = compare === "after" || isStopWanted;
      const notice = tensor(formatNotice(part, {
        stop,
        saved: part.index === 0 ? saved.step : null,
        print: compare === "before" ? readNumber(compared(state)) : 0,
      }));
      const own = gradients(state.params, frozen, batch, notice);
      const sums = await workers.allReduceSum(own).finally(() => disposeTree(own));
      const { notices, ...result } = update(state, scalars, sums, notice);
      disposeTree([sums, notice]);
      const told = parseNotices(await notices.data() as Float32Array);
      notices.dispose();
      try {
        await refuseDifferent(told.prints, step);
        if (isCompared) await refuseDifferent(await printsOf(result.state), step + 1);
      } catch (error) {
        disposeTree([result.state, result.loss, result.gradientNorm]);
        throw error;
      }
      saved.step = told.saved;
      isStopWanted = told.stop;
      return { ...result, stop: told.stop && isCompared };
    },
    async evaluate(evaluator, model, windows, batchSize) {
      const own = partOf(windows, part);
      const { lossNats, scoredTokens } = own.count === 0
        ? { lossNats: 0, scoredTokens: 0 }
        : await evaluate(evaluator, model, own, batchSize / part.count);
      const nats = scoredTokens === 0 ? 0 : lossNats * scoredTokens;
      const texts = await workers.exchange(JSON.stringify([nats, scoredTokens]));
      const parts = texts.map((text) => JSON.parse(text) as [number, number]);
      const tokens = parts.reduce((sum, [, tokens]) => sum + tokens, 0);
      return {
        lossNats: parts.reduce((sum, [nats]) => sum + nats, 0) / tokens,
        scoredTokens: tokens,
      };
    },
    dispose() {
      gradients.dispose();
      update.dispose();
      compared.dispose();
    },
  };
}

/** Tensors of these sizes, in their order, put together until they are large. */
function bucketsOf(sizes: readonly number[]): number[][] {
  const buckets: number[][] = [];
  let filled = Infinity;
  sizes.forEach((size, place) => {
    if (filled + size > BUCKET_NUMBERS) {
      buckets.push([]);
      filled = 0;
    }
    buckets.at(-1)!.push(place);
    filled += size;
  });
  return buckets;
}

type Notice = Readonly<{ stop: boolean; saved: number | null; print: number }>;

/** Numbers whose sums over all workers can be told apart; float32 holds halves of a print exactly. */
function formatNotice({ index, count }: BatchPart, { stop, saved, print }: Notice): Float32Array {
  const numbers = new Float32Array(2 + 2 * count);
  numbers[0] = stop ? 1 : 0;
  numbers[1] = saved === null ? 0 : saved + 1;
  numbers[2 + 2 * index] = print & 0xffff;
  numbers[3 + 2 * index] = print >>> 16;
  return numbers;
}

function parseNotices(
  sums: Float32Array,
): { stop: boolean; saved: number | null; prints: readonly string[] } {
  const [stop, saved, ...halves] = sums;
  const prints = halves.flatMap((low, at) => at % 2 === 0 ? [`${low} ${halves[at + 1]}`] : []);
  return { stop: stop! > 0, saved: saved === 0 ? null : saved! - 1, prints };
}

function readNumber(value: Tensor): number {
  const [number] = value.dataSync();
  value.dispose();
  return number!;
}

/** Consecutive windows, about as many for each part. */
function partOf(
  windows: WindowIds | StoredWindows,
  { index, count }: BatchPart,
): WindowIds | StoredWindows {
  const start = Math.floor(windows.count * index / count);
  const end = Math.floor(windows.count * (index + 1) / count);
  if (isStored(windows)) {
    const read = (rows: ArrayLike<number>) =>
      windows.read(Int32Array.from(rows, (row) => start + row));
    return { ...windows, count: end - start, read };
  }
  const { contextLength, ids, values } = windows;
  const range = [start * contextLength, end * contextLength] as const;
  return {
    contextLength,
    count: end - start,
    ids: ids.subarray(...range),
    ...(values && { values: values.subarray(...range) }),
  };
}
