import { UserError } from "../errors.ts";
import { inWords, requireFinite, requireRows } from "./_layout.ts";
import { tokenTexts, visibleToken } from "./_token_text.ts";

/** A token to colour by its estimate: what `estimateText` of lib/entropy gives goes straight in. */
export interface HighlightedToken {
  readonly text: string;
  /** Nats, or whatever the option `unit` says; null: not coloured. */
  readonly estimate: number | null;
  /** In the estimate's unit. */
  readonly standardError?: number | null;
  readonly position?: number;
  /** With them, a character that is cut into several tokens is shown whole on the first. */
  readonly bytes?: Uint8Array;
  /** Shown on hover instead of value and position. */
  readonly hover?: string;
}

export interface HighlightOptions {
  /** What estimates are; default `nats`. With `bits` nats are shown as bits. */
  readonly unit?: string;
  /** Value at the palest colour, in the unit; default the smallest or 0 if that is above. */
  readonly low?: number;
  /** Value at the darkest colour, in the unit; default the largest. */
  readonly high?: number;
}

/** A token as it is shown. */
export interface ScaledToken {
  readonly text: string;
  /** In the unit shown. */
  readonly value: number | null;
  /** 0 at the palest colour, 1 at the darkest; null: no colour. */
  readonly share: number | null;
  /** The value in words, with its standard error if it has one; a dash where there is none. */
  readonly label: string;
}

export interface TokenScale {
  readonly unit: string;
  readonly tokens: readonly ScaledToken[];
  /** From low to high. */
  readonly legend: readonly { readonly share: number; readonly label: string }[];
}

/** Red, green and blue, 0 … 255. */
export type Colour = readonly [number, number, number];

// White to orange, light enough for dark text at every step.
const palest: Colour = [255, 255, 255];
const darkest: Colour = [240, 138, 56];
const legendSteps = 5;

/** A share outside of 0 … 1 has the colour of the nearer end. */
export function colourAt(share: number): Colour {
  const inside = Math.min(1, Math.max(0, share));
  const channel = (index: 0 | 1 | 2) =>
    Math.round(palest[index] + (darkest[index] - palest[index]) * inside);
  return [channel(0), channel(1), channel(2)];
}

/**
 * Tokens in the unit shown, each with its place between low and high.
 *
 * @throws UserError when no token has an estimate, one is not finite, or high is not above low.
 */
export function scaleTokens(
  tokens: readonly HighlightedToken[],
  { unit = "nats", ...range }: HighlightOptions,
): TokenScale {
  const what = "highlighted tokens";
  const perUnit = unit === "bits" ? Math.LN2 : 1;
  const texts = tokenTexts(tokens);
  const values = tokens.flatMap(({ estimate, standardError }, index) => {
    if (estimate === null) return [];
    const whose = `token ${index} "${visibleToken(texts[index]!)}"`;
    requireFinite(estimate, what, whose);
    requireFinite(standardError ?? 0, what, `the standard error of ${whose}`);
    return [estimate / perUnit];
  });
  requireRows(values, what, "tokens with an estimate");
  const low = range.low ?? values.reduce((least, value) => Math.min(least, value), 0);
  const largest = values.reduce((most, value) => Math.max(most, value), low);
  const high = range.high ?? (largest > low ? largest : low + 1);
  if (!(high > low)) {
    throw new UserError(`${what}: expected high above low, found ${high} and ${low}`);
  }
  const shareOf = (value: number) => (value - low) / (high - low);
  return {
    unit,
    tokens: tokens.map(({ estimate, standardError }, index) => {
      const text = texts[index]!;
      if (estimate === null) return { text, value: null, share: null, label: "–" };
      const value = estimate / perUnit;
      const error = standardError ?? null;
      const spread = error === null ? "" : ` ± ${inWords(error / perUnit)}`;
      return { text, value, share: shareOf(value), label: `${inWords(value)}${spread}` };
    }),
    legend: Array.from({ length: legendSteps }, (_, index) => {
      const share = index / (legendSteps - 1);
      return { share, label: inWords(low + share * (high - low)) };
    }),
  };
}
