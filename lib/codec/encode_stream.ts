/** Tokens to the bytes behind a file's header (stream.ts), and what these bytes are for. */

import { embedWindows, laneEmbeddings } from "./embeddings.ts";
import { createFlags } from "./flags.ts";
import { intervalOf, surprisalBits } from "./frequencies.ts";
import type { Window } from "./layout.ts";
import { createRangeEncoder, type Interval } from "./range_coder.ts";
import {
  byteInterval,
  codedTokens,
  fixedFrequencies,
  scalesAsBytes,
  type StreamOptions,
} from "./stream.ts";
import { codeRound, type Place } from "./windows.ts";

/** What the bits of a stream are for; their sum is the stream. */
export type StreamBits = {
  /** Scales that all embeddings share. */
  scales: number;
  embeddings: number;
  /** Whether a window is coded by the model. */
  flags: number;
  /** The first token of a window without context, one of V equally likely ones (paper §3.2). */
  firstTokens: number;
  /** Tokens that the model predicts. */
  tokens: number;
  /** Tokens coded without the model. */
  raw: number;
  /**
   * What the last byte makes of it, from −8 to 8: the rest of a byte, less what can be left out since
   * readers see zeros behind the end.
   */
  ending: number;
};

export type EncodedStream = Readonly<{
  payload: Uint8Array<ArrayBuffer>;
  bits: Readonly<StreamBits>;
  windows: number;
  /** Windows that were coded without the model. */
  rawWindows: number;
  /** Tokens that `bits.tokens` is for. */
  modelTokens: number;
  /** Σ −log₂ p over these, in float64 from the model's logits. */
  modelBits: number;
  /** The same by position in the window, and the number of tokens there: `[N]` each. */
  bitsByPosition: readonly number[];
  countByPosition: readonly number[];
}>;

/** A token with both of its prices. */
type PricedToken = Readonly<{
  place: Place;
  isFirst: boolean;
  modelled: Interval;
  raw: Interval;
  modelBits: number;
}>;

export async function encodeStream(
  ids: Int32Array,
  { predictor, tokenizer, rounds, embedding, signal, onProgress }:
    & StreamOptions
    & Readonly<{ rounds: readonly (readonly Window[])[] }>,
): Promise<EncodedStream> {
  const { padId } = tokenizer;
  const { raw, first } = fixedFrequencies(tokenizer);
  const embedded = embedding &&
    await embedWindows(predictor, ids, rounds, { padId, quantization: embedding, signal });
  const writer = createRangeEncoder();
  const bits: StreamBits = {
    scales: 0,
    embeddings: 0,
    flags: 0,
    firstTokens: 0,
    tokens: 0,
    raw: 0,
    ending: 0,
  };
  const write = (part: keyof StreamBits, interval: Interval) => {
    const before = writer.bits();
    writer.encode(interval);
    bits[part] += writer.bits() - before;
  };
  const writeBytes = (part: keyof StreamBits, bytes: Uint8Array) => {
    for (const byte of bytes) write(part, byteInterval(byte));
  };
  const flags = createFlags();
  const bitsByPosition = new Array<number>(predictor.contextLength).fill(0);
  const countByPosition = bitsByPosition.slice();
  let rawWindows = 0;
  let modelTokens = 0;
  let modelBits = 0;
  let done = 0;

  if (embedded !== null) writeBytes("scales", scalesAsBytes(embedded.code.scales));
  for (const windows of rounds) {
    const tokens: PricedToken[] = [];
    const records = new Map(
      embedded === null
        ? []
        : windows.map((window) => [window.lane, embedded.recordOf(window)] as const),
    );
    await codeRound(predictor, windows, {
      ids,
      padId,
      embeddingsLP: embedded === null
        ? new Float32Array(0)
        : laneEmbeddings(predictor.laneCount, embedded.code, records),
      isModelled: () => true,
      raw,
      first,
      signal,
    }, (place, frequencies) => {
      const id = ids[place.index]!;
      tokens.push({
        place,
        isFirst: frequencies === first,
        modelled: intervalOf(frequencies, id),
        raw: intervalOf(raw, id),
        modelBits: surprisalBits(frequencies, id),
      });
      return id;
    });
    const isModelled = cheaperByModel(tokens, records);
    for (const window of windows) {
      const modelled = isModelled.has(window);
      write("flags", flags.intervalOf(modelled));
      if (!modelled) rawWindows++;
      const record = records.get(window.lane);
      if (modelled && record !== undefined) writeBytes("embeddings", record);
    }
    for (const { place, isFirst, modelled, raw, modelBits: cost } of tokens) {
      if (!isModelled.has(place.window)) {
        write("raw", raw);
        continue;
      }
      write(isFirst ? "firstTokens" : "tokens", modelled);
      if (isFirst) continue;
      modelTokens++;
      modelBits += cost;
      bitsByPosition[place.position]! += cost;
      countByPosition[place.position]!++;
    }
    done += codedTokens(windows);
    await onProgress?.({ done, total: ids.length });
  }
  const written = writer.bits();
  const payload = writer.finish();
  bits.ending = 8 * payload.length - written;
  const windows = rounds.flat().length;
  return {
    payload,
    bits,
    windows,
    rawWindows,
    modelTokens,
    modelBits,
    bitsByPosition,
    countByPosition,
  };
}

/** The windows that the model makes shorter than their bytes are, their embeddings paid for. */
function cheaperByModel(
  tokens: readonly PricedToken[],
  records: ReadonlyMap<number, Uint8Array>,
): ReadonlySet<Window> {
  const bitsOf = ({ size, total }: Interval) => -Math.log2(size / total);
  const gains = new Map<Window, number>();
  for (const { place: { window }, modelled, raw } of tokens) {
    const before = gains.get(window) ?? -8 * (records.get(window.lane)?.length ?? 0);
    gains.set(window, before + bitsOf(raw) - bitsOf(modelled));
  }
  return new Set([...gains].flatMap(([window, gain]) => gain >= 0 ? [window] : []));
}
