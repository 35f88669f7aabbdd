import { UserError } from "../errors.ts";
import { inWords, requireFinite, requireRows } from "./_layout.ts";
import { type TokenValue, visibleToken } from "./_token_text.ts";
import { type Displayable, escapeHtml, htmlDisplay } from "./display.ts";

/** A token to colour by its value. */
export interface HighlightedToken extends TokenValue {
  /** Shown on hover instead of the value. */
  readonly hover?: string;
}

export interface HighlightOptions {
  /** What values are, e.g. "nats" or "bits". */
  readonly unit: string;
  /** Value at the palest colour; default the smallest or 0 if that is above. */
  readonly low?: number;
  /** Value at the darkest colour; default the largest. */
  readonly high?: number;
}

// White to orange, light enough for dark text at every step.
const palest = [255, 255, 255] as const;
const darkest = [240, 138, 56] as const;
const legendSteps = 5;
const maxTokensAsText = 400;

function colourAt(share: number): string {
  const channel = (index: 0 | 1 | 2) =>
    Math.round(palest[index] + (darkest[index] - palest[index]) * Math.min(1, Math.max(0, share)));
  return `rgb(${channel(0)},${channel(1)},${channel(2)})`;
}

function swatch(content: string, colour: string, title: string): string {
  return `<span style="background-color:${colour};padding:2px 0;" title="${
    escapeHtml(title)
  }">${content}</span>`;
}

/** Escaped text in which blanks can be seen and line ends still break the line. */
function tokenHtml(text: string): string {
  const marks = visibleToken(text);
  let html = "";
  [...text].forEach((character, index) => {
    const mark = [...marks][index]!;
    if (mark === character) html += escapeHtml(character);
    else html += `<span style="color:#80868B;">${mark}</span>${character === "\n" ? "<br>" : ""}`;
  });
  return html;
}

/**
 * A text with each token on a background as dark as its value is high, with a legend; hovering shows the
 * value. Inline styles only and no script, so it survives HTML export.
 *
 * @throws UserError when there are no tokens, a value is not finite or high is not above low
 */
export function highlightTokens(
  tokens: readonly HighlightedToken[],
  options: HighlightOptions,
): Displayable {
  const what = "highlighted tokens";
  requireRows(tokens, what, "tokens");
  tokens.forEach(({ text, value }, index) =>
    requireFinite(value, what, `token ${index} "${visibleToken(text)}"`)
  );
  const { unit } = options;
  const values = tokens.map(({ value }) => value);
  const low = options.low ?? values.reduce((least, value) => Math.min(least, value), 0);
  const high = options.high ??
    values.reduce((most, value) => Math.max(most, value), low + Number.MIN_VALUE);
  if (!(high > low)) {
    throw new UserError(`${what}: expected high above low, found ${high} and ${low}`);
  }
  const body = tokens.map(({ text, value, hover }) =>
    swatch(
      tokenHtml(text),
      colourAt((value - low) / (high - low)),
      hover ?? `${visibleToken(text)}: ${inWords(value)} ${unit}`,
    )
  ).join("");
  const legend = Array.from({ length: legendSteps }, (_, index) => {
    const share = index / (legendSteps - 1);
    const value = inWords(low + share * (high - low));
    return `<span style="background-color:${
      colourAt(share)
    };padding:2px 8px;border:1px solid #DADCE0;">${value}</span>`;
  }).join("");
  const html =
    `<div style="background-color:#FFFFFF;color:#222222;padding:10px;"><div style="margin-bottom:8px;font-size:12px;">${
      escapeHtml(unit)
    }: ${legend}</div><div style="font-family:monospace;line-height:1.8;white-space:pre-wrap;overflow-wrap:anywhere;">${body}</div></div>`;
  const listed = tokens.slice(0, maxTokensAsText).map(({ text, value }) =>
    `${visibleToken(text)} ${inWords(value)}`
  ).join(" | ");
  const rest = tokens.length - maxTokensAsText;
  return htmlDisplay(
    html,
    `Tokens and their values (${unit}): ${listed}${rest > 0 ? ` | … ${rest} more` : ""}`,
  );
}
