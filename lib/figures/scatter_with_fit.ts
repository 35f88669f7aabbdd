import { UserError } from "../errors.ts";
import {
  axis,
  inWords,
  legendName,
  makeFigure,
  mutedInk,
  paddedRange,
  plainText,
  requireFinite,
  requireRows,
  sentence,
} from "./_layout.ts";
import { armStyles } from "./arm_style.ts";
import type { Figure, PlotlyTrace } from "./figure.ts";

/** One point of a scatter plot. */
export interface PointRow {
  readonly arm: string;
  readonly x: number;
  readonly y: number;
  /** Shown on hover. */
  readonly label?: string;
}

/** A straight line fitted to an arm's points, as regression reports it. */
export interface LineFit {
  readonly arm: string;
  readonly slope: number;
  readonly intercept: number;
  readonly rSquared: number;
}

/** A straight line that points are read against, e.g. a limit that none of them can pass. */
export interface BoundLine {
  /** Stands in the legend. */
  readonly label: string;
  readonly slope: number;
  readonly intercept: number;
}

export interface ScatterOptions {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly fits?: readonly LineFit[];
  /** Adds the line y = x where both axes have points. */
  readonly diagonal?: boolean;
  /** Adds a dashed line from edge to edge, behind the points. */
  readonly bound?: BoundLine;
}

/**
 * Points of one or more arms with their fitted lines; a legend entry states slope and R². Keep to a few
 * thousand points: each is stored in the notebook.
 *
 * @throws UserError when there are no points, a number is not finite or a fit's arm has no points
 */
export function scatterWithFit(rows: readonly PointRow[], options: ScatterOptions): Figure {
  const { title, xTitle, yTitle, fits = [], diagonal = false, bound } = options;
  requireRows(rows, title, "points");
  for (const { arm, x, y } of rows) {
    requireFinite(x, title, `"${arm}"`);
    requireFinite(y, title, `"${arm}"`);
  }
  const arms = [...new Set(rows.map((row) => row.arm))];
  const styles = armStyles(arms);
  // Many points need to be faint for their density to show.
  const opacity = rows.length > 2000 ? 0.25 : rows.length > 300 ? 0.45 : 0.85;
  const data: PlotlyTrace[] = arms.map((arm) => {
    const points = rows.filter((row) => row.arm === arm);
    const { colour, symbol } = styles.get(arm)!;
    const labelled = points.some((point) => point.label !== undefined);
    return {
      type: "scatter",
      mode: "markers",
      name: legendName(arm),
      x: points.map((point) => point.x),
      y: points.map((point) => point.y),
      marker: { color: colour, symbol, size: rows.length > 300 ? 5 : 8, opacity },
      ...(labelled ? { customdata: points.map((point) => plainText(point.label ?? "")) } : {}),
      hovertemplate: labelled ? "%{customdata}<br>%{x}, %{y}" : "%{x}, %{y}",
    };
  });
  const words: string[] = [];
  for (const { arm, slope, intercept, rSquared } of fits) {
    const style = styles.get(arm);
    if (!style) {
      throw new UserError(`figure "${title}": expected points for the fit of "${arm}", found none`);
    }
    const xs = rows.filter((row) => row.arm === arm).map((row) => row.x);
    const ends = [minimum(xs), maximum(xs)];
    const label = `slope ${inWords(slope)}, R² ${inWords(rSquared)}`;
    words.push(`${arm}: ${label}, intercept ${inWords(intercept)}`);
    data.push({
      type: "scatter",
      mode: "lines",
      name: arms.length === 1 ? label : legendName(`${arm}: ${label}`),
      x: ends,
      y: ends.map((x) => intercept + slope * x),
      line: { color: arms.length === 1 ? "#222222" : style.colour, width: 2.2 },
      hoverinfo: "skip",
    });
  }
  if (diagonal) {
    const [xs, ys] = [rows.map(({ x }) => x), rows.map(({ y }) => y)];
    const ends = [Math.max(minimum(xs), minimum(ys)), Math.min(maximum(xs), maximum(ys))];
    data.push({
      type: "scatter",
      mode: "lines",
      name: "y = x",
      x: ends,
      y: ends,
      line: { color: "#5F6368", width: 1.2, dash: "dot" },
      hoverinfo: "skip",
    });
  }
  const drawn = bound && boundBetweenEdges(bound, title, data);
  return makeFigure({
    title,
    data: drawn ? [drawn.line, ...data] : data,
    layout: {
      xaxis: axis(xTitle, drawn && { range: drawn.xRange }),
      yaxis: axis(yTitle, drawn && { range: drawn.yRange }),
    },
    altText: `${sentence(title)} ${yTitle} against ${xTitle}, ${rows.length} points.${
      words.length > 0 ? ` Fitted lines: ${words.join("; ")}.` : ""
    }${
      bound
        ? ` Dashed line: ${bound.label}, slope ${inWords(bound.slope)}, intercept ${
          inWords(bound.intercept)
        }.`
        : ""
    }`,
  });
}

/**
 * The line from edge to edge of axes whose range is that of what else is drawn: a steep line would
 * squash the points. Only a line that passes all of it widens the range, to be seen.
 */
function boundBetweenEdges(
  { label, slope, intercept }: BoundLine,
  title: string,
  data: readonly PlotlyTrace[],
) {
  requireFinite(slope, title, `"${label}"`);
  requireFinite(intercept, title, `"${label}"`);
  const xRange = paddedRange(data.flatMap(({ x }) => x as readonly number[]));
  const ys = data.flatMap(({ y }) => y as readonly number[]);
  const whole = xRange.map((x) => slope * x + intercept);
  const [low, high] = paddedRange(ys);
  const passes = Math.max(...whole) <= low || Math.min(...whole) >= high;
  const yRange = passes ? paddedRange([...ys, ...whole]) : [low, high] as const;
  const ends = whole.map((y) => Math.min(Math.max(y, yRange[0]), yRange[1]));
  const line: PlotlyTrace = {
    type: "scatter",
    mode: "lines",
    name: legendName(label),
    x: ends.map((y, end) => y === whole[end] ? xRange[end]! : (y - intercept) / slope),
    y: ends,
    line: { color: mutedInk, width: 1.6, dash: "dash" },
    hoverinfo: "skip",
  };
  return { line, xRange, yRange };
}

function minimum(values: readonly number[]): number {
  return values.reduce((least, value) => Math.min(least, value), Infinity);
}

function maximum(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), -Infinity);
}
