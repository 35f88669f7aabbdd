import { UserError } from "../errors.ts";
import { figureFontFamily } from "./_fonts.ts";
import type { ErrorBars, Figure, PlotlyAxis, PlotlyLayout, PlotlyTrace } from "./figure.ts";
import { wrapWords } from "./text_table.ts";

export const figureWidth = 900;
export const figureHeight = 480;
export const ink = "#222222";
export const mutedInk = "#5F6368";
const gridColour = "#E3E5E8";

/** Labels may hold what looks like markup to plotly (`<|begin_of_text|>`): show it as it is. */
export function plainText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Breaks a label at spaces into lines of about `lineLength` characters, escaped. */
export function wrapped(text: string, lineLength: number): string {
  return wrapWords(text, lineLength).map(plainText).join("<br>");
}

/** The name of an arm as it stands in a legend. */
export function legendName(name: string): string {
  return wrapped(name, 26);
}

/** An axis in the house style; `title` carries the unit. */
export function axis(title: string, settings: Partial<PlotlyAxis> = {}): PlotlyAxis {
  return {
    title: { text: plainText(title), standoff: 10, font: { size: 14 } },
    showgrid: true,
    gridcolor: gridColour,
    gridwidth: 1,
    linecolor: mutedInk,
    linewidth: 1,
    ticks: "outside",
    tickcolor: mutedInk,
    zeroline: false,
    exponentformat: "SI",
    automargin: true,
    ...settings,
  };
}

/** The range of an axis on which values stand clear of the edges. */
export function paddedRange(values: readonly number[]): readonly [low: number, high: number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const pad = 0.08 * (high - low || 1);
  return [low - pad, high + pad];
}

/** A round number of significant digits keeps notebooks small; five are more than a plot can show. */
export function roundSignificant(value: number, digits = 5): number {
  return Number(value.toPrecision(digits));
}

function rounded<Value>(value: Value): Value {
  if (typeof value === "number") return roundSignificant(value) as Value;
  if (Array.isArray(value)) return value.map(rounded) as Value;
  return value;
}

const numericKeys = ["x", "y", "z", "customdata"] as const;

function roundedTrace(trace: PlotlyTrace): PlotlyTrace {
  const copy: Record<string, unknown> = { ...trace };
  for (const key of numericKeys) if (key in copy) copy[key] = rounded(copy[key]);
  for (const key of ["error_x", "error_y"]) {
    const bars = copy[key] as { array: unknown; arrayminus: unknown } | undefined;
    if (bars) {
      copy[key] = { ...bars, array: rounded(bars.array), arrayminus: rounded(bars.arrayminus) };
    }
  }
  return copy as unknown as PlotlyTrace;
}

export interface FigureParts {
  readonly title: string;
  /** A second line: what a line, a band or an error bar is. */
  readonly subtitle?: string;
  readonly data: readonly PlotlyTrace[];
  /** Axes and whatever differs from the house style. */
  readonly layout: Partial<PlotlyLayout>;
  readonly altText: string;
}

/** Puts the parts of a figure into the house style. */
export function makeFigure(parts: FigureParts): Figure {
  const { title, subtitle, data, altText } = parts;
  // The legend stands to the right of the plot, where no data can be.
  const layout: PlotlyLayout = {
    width: figureWidth,
    height: figureHeight,
    title: {
      text: `<b>${plainText(title)}</b>`,
      ...(subtitle === undefined ? {} : {
        subtitle: { text: plainText(subtitle), font: { size: 13, color: mutedInk } },
      }),
      x: 0,
      xanchor: "left",
      xref: "container",
      y: 1,
      yanchor: "top",
      yref: "container",
      font: { size: 16 },
      pad: { l: 16, t: 14 },
    },
    font: { family: figureFontFamily, size: 13, color: ink },
    paper_bgcolor: "#FFFFFF",
    plot_bgcolor: "#FFFFFF",
    margin: { l: 64, r: 24, t: subtitle === undefined ? 56 : 82, b: 56 },
    showlegend: data.some((trace) => trace.name !== undefined && trace.showlegend !== false),
    legend: {
      x: 1.02,
      xanchor: "left",
      y: 1,
      yanchor: "top",
      tracegroupgap: 4,
      itemwidth: 40,
      font: { size: 13 },
    },
    hovermode: "closest",
    ...parts.layout,
  };
  return { data: data.map(roundedTrace), layout, altText };
}

/** Fails when there is nothing to draw, naming the figure. */
export function requireRows(rows: { readonly length: number }, title: string, what: string): void {
  if (rows.length === 0) {
    throw new UserError(
      `figure "${title}": expected ${what}, found none; check which runs were read`,
    );
  }
}

/** Fails on a value that cannot be drawn, saying whose it is. */
export function requireFinite(value: number, title: string, whose: string): void {
  if (!Number.isFinite(value)) {
    throw new UserError(
      `figure "${title}": expected finite numbers, found ${value} in ${whose}; leave that row out or look why the run diverged`,
    );
  }
}

/** A number in prose: four significant digits, large ones with a suffix. */
export function inWords(value: number): string {
  const size = Math.abs(value);
  for (const [unit, suffix] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]] as const) {
    if (size >= unit) {
      const scaled = suffix === "k" ? value / 1e3 : value / unit;
      return `${roundSignificant(scaled, 4)}${suffix}`;
    }
  }
  return String(roundSignificant(value, 4));
}

/** A logarithmic axis with a label at 1, 2 and 5 times each power of ten. Fails on values up to 0. */
export function logTicks(values: readonly number[], title: string): Partial<PlotlyAxis> {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (!(low > 0)) {
    throw new UserError(
      `figure "${title}": expected positive values on a logarithmic axis, found ${low}`,
    );
  }
  const tickvals: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    tickvals.push(...[1, 2, 5].map((digit) => roundSignificant(digit * 10 ** power)));
  }
  return { type: "log", tickmode: "array", tickvals, ticktext: tickvals.map(inWords) };
}

/** A sentence's text without the doubled period a title may bring. */
export function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/**
 * Error bars from interval ends, null when no value has one. Fails on an interval that does not hold its
 * value.
 */
export function errorBars(
  bars: readonly (
    | { readonly value: number; readonly interval?: readonly [low: number, high: number] }
    | undefined
  )[],
  title: string,
  whose: string,
): ErrorBars | null {
  if (bars.every((bar) => bar?.interval === undefined)) return null;
  for (const bar of bars) {
    if (!bar?.interval) continue;
    const [low, high] = bar.interval;
    if (!(low <= bar.value && bar.value <= high)) {
      throw new UserError(
        `figure "${title}": expected an interval that holds ${bar.value} for "${whose}", found ${low} to ${high}`,
      );
    }
  }
  return {
    type: "data",
    symmetric: false,
    array: bars.map((bar) => bar?.interval ? bar.interval[1] - bar.value : null),
    arrayminus: bars.map((bar) => bar?.interval ? bar.value - bar.interval[0] : null),
    color: ink,
    thickness: 1.4,
    width: 4,
  };
}
