import {
  type Colour,
  colourAt,
  type HighlightedToken,
  type HighlightOptions,
  scaleTokens,
} from "./_token_scale.ts";
import { CONTINUATION, visibleToken } from "./_token_text.ts";
import { type Displayable, escapeHtml, htmlDisplay } from "./display.ts";

const maxTokensAsText = 400;

function rgb([red, green, blue]: Colour): string {
  return `rgb(${red},${green},${blue})`;
}

function swatch(content: string, share: number | null, title: string): string {
  const colour = share === null ? "" : `background-color:${rgb(colourAt(share))};`;
  return `<span style="${colour}padding:2px 0;" title="${escapeHtml(title)}">${content}</span>`;
}

const muted = (mark: string) => `<span style="color:#80868B;">${mark}</span>`;

/** Escaped text in which blanks can be seen and line ends still break the line. */
function tokenHtml(text: string): string {
  if (text === CONTINUATION) return muted(text);
  const marks = visibleToken(text);
  let html = "";
  [...text].forEach((character, index) => {
    const mark = [...marks][index]!;
    if (mark === character) html += escapeHtml(character);
    else html += `${muted(mark)}${character === "\n" ? "<br>" : ""}`;
  });
  return html;
}

/**
 * A text with each token on a background as dark as its estimate is high, with a legend; a token
 * without an estimate has no colour. Hovering shows value, standard error and position. Inline
 * styles only and no script, so it survives HTML export.
 *
 * @throws UserError when no token has an estimate, one is not finite or high is not above low
 */
export function highlightTokens(
  tokens: readonly HighlightedToken[],
  options: HighlightOptions = {},
): Displayable {
  const { unit, tokens: scaled, legend } = scaleTokens(tokens, options);
  const body = scaled.map(({ text, value, share, label }, index) => {
    const { position, hover } = tokens[index]!;
    const place = position === undefined ? "" : `, token ${position}`;
    const found = value === null ? "no estimate" : `${label} ${unit}`;
    return swatch(tokenHtml(text), share, hover ?? `${visibleToken(text)}: ${found}${place}`);
  }).join("");
  const steps = legend.map(({ share, label }) =>
    `<span style="background-color:${
      rgb(colourAt(share))
    };padding:2px 8px;border:1px solid #DADCE0;">${label}</span>`
  ).join("");
  const html =
    `<div style="background-color:#FFFFFF;color:#222222;padding:10px;"><div style="margin-bottom:8px;font-size:12px;">${
      escapeHtml(unit)
    }: ${steps}</div><div style="font-family:monospace;line-height:1.8;white-space:pre-wrap;overflow-wrap:anywhere;">${body}</div></div>`;
  const listed = scaled.slice(0, maxTokensAsText).map(({ text, label }) =>
    `${visibleToken(text)} ${label}`
  ).join(" | ");
  const rest = tokens.length - maxTokensAsText;
  return htmlDisplay(
    html,
    `Tokens and their values (${unit}): ${listed}${rest > 0 ? ` | … ${rest} more` : ""}`,
  );
}
