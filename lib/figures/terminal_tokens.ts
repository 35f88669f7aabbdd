import {
  type Colour,
  colourAt,
  type HighlightedToken,
  type HighlightOptions,
  scaleTokens,
} from "./_token_scale.ts";
import { visibleToken } from "./_token_text.ts";

/** `palette` is that of 256 colours, which terminals have that lack 24 bits. */
export type TerminalColours = "truecolor" | "palette" | "none";

export interface TerminalTokenOptions extends HighlightOptions {
  readonly colours: TerminalColours;
}

const dark: Colour = [34, 34, 34];
const paletteLevels = [0, 95, 135, 175, 215, 255];

/** A colour's place in the 6 × 6 × 6 cube of the palette. */
function paletteIndex(colour: Colour): number {
  const digits = colour.map((channel) => {
    const distances = paletteLevels.map((level) => Math.abs(level - channel));
    return distances.indexOf(Math.min(...distances));
  });
  return 16 + digits.reduce((index, digit) => 6 * index + digit, 0);
}

function painted(text: string, share: number, colours: "truecolor" | "palette"): string {
  if (text === "") return "";
  const code = (ground: 38 | 48, colour: Colour) =>
    colours === "truecolor"
      ? `${ground};2;${colour.join(";")}`
      : `${ground};5;${paletteIndex(colour)}`;
  return `\x1b[${code(48, colourAt(share))};${code(38, dark)}m${text}\x1b[0m`;
}

/**
 * A text for a terminal, each token on a background as dark as its estimate is high, below a legend.
 * Without colours: a line a token, its value behind a tab, blanks made visible.
 *
 * @throws UserError as `highlightTokens` does
 */
export function terminalTokens(
  tokens: readonly HighlightedToken[],
  { colours, ...options }: TerminalTokenOptions,
): string {
  const { unit, tokens: scaled, legend } = scaleTokens(tokens, options);
  if (colours === "none") {
    return scaled.map(({ text, label }) => `${visibleToken(text)}\t${label}`).join("\n");
  }
  const steps = legend.map(({ share, label }) => painted(` ${label} `, share, colours)).join("");
  const body = scaled.map(({ text: whole, share }) => {
    // A return would start the line anew; of a tab the background is not drawn.
    const text = whole.replaceAll("\r", "␍").replaceAll("\t", "⇥");
    if (share === null) return text;
    // A background that is open at a line's end would colour the rest of the line.
    const lines = text.split("\n");
    return lines.map((line, index) =>
      painted(index < lines.length - 1 ? `${line}↵` : line, share, colours)
    ).join("\n");
  }).join("");
  return `${unit}: ${steps}\n\n${body}`;
}
