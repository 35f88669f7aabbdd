import {
  axis,
  ink,
  inWords,
  makeFigure,
  plainText,
  requireFinite,
  requireRows,
  sentence,
} from "./_layout.ts";
import { type TokenValue, visibleToken } from "./_token_text.ts";
import { armStyles, tint } from "./arm_style.ts";
import type { Figure } from "./figure.ts";

export interface TokenLossOptions {
  readonly title: string;
  /** With its unit; default "loss (nats)". */
  readonly yTitle?: string;
  /** The arm whose losses these are: its colour. Default "CLM". */
  readonly arm?: string;
}

const maxNamedTokens = 60;
const maxLabelLength = 14;

/** A token under its bar; a long one is cut, and whole on hover. */
function tickLabel(text: string): string {
  const visible = [...visibleToken(text)];
  return plainText(
    visible.length > maxLabelLength
      ? `${visible.slice(0, maxLabelLength - 1).join("")}…`
      : visible.join(""),
  );
}

/**
 * One bar a token, in reading order, with the token under it while there is room and on hover always; the
 * mean as a line.
 *
 * @throws UserError when there are no tokens or a value is not finite
 */
export function tokenLosses(tokens: readonly TokenValue[], options: TokenLossOptions): Figure {
  const { title, yTitle = "loss (nats)", arm = "CLM" } = options;
  requireRows(tokens, title, "tokens");
  tokens.forEach(({ text, value }, index) =>
    requireFinite(value, title, `token ${index} "${visibleToken(text)}"`)
  );
  const { colour } = armStyles([arm]).get(arm)!;
  const positions = tokens.map((_, index) => index);
  const labels = tokens.map(({ text }) => plainText(visibleToken(text)));
  const mean = tokens.reduce((total, { value }) => total + value, 0) / tokens.length;
  const named = tokens.length <= maxNamedTokens;
  const dearest = tokens.toSorted((a, b) => b.value - a.value).slice(0, 5);
  return makeFigure({
    title,
    subtitle: `Dashed line: mean ${inWords(mean)} over ${tokens.length} tokens`,
    data: [{
      type: "bar",
      orientation: "v",
      name: arm,
      showlegend: false,
      x: positions,
      y: tokens.map(({ value }) => value),
      customdata: labels,
      marker: { color: tint(colour, 0.4) },
      hovertemplate: "%{customdata}<br>%{y}<extra>token %{x}</extra>",
    }, {
      type: "scatter",
      mode: "lines",
      name: "mean",
      showlegend: false,
      x: [-0.5, tokens.length - 0.5],
      y: [mean, mean],
      line: { color: ink, width: 1.6, dash: "dash" },
      hoverinfo: "skip",
    }],
    layout: {
      bargap: named ? 0.15 : 0,
      xaxis: axis(named ? "token" : "token position", {
        showgrid: false,
        range: [-0.5, tokens.length - 0.5],
        ...(named
          ? {
            tickmode: "array" as const,
            tickvals: positions,
            ticktext: tokens.map(({ text }) => tickLabel(text)),
            tickangle: -60,
            tickfont: { size: tokens.length > 40 ? 9 : 11 },
          }
          : {}),
      }),
      yaxis: axis(yTitle),
    },
    altText: `${sentence(title)} ${yTitle} of ${tokens.length} tokens, mean ${
      inWords(mean)
    }; highest: ${
      dearest.map(({ text, value }) => `${visibleToken(text)} ${inWords(value)}`).join(", ")
    }.`,
  });
}
