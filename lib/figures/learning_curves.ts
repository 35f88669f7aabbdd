import { UserError } from "../errors.ts";
import { mean, meanInterval } from "../measure/mod.ts";
import {
  axis,
  inWords,
  legendName,
  logTicks,
  makeFigure,
  mutedInk,
  plainText,
  requireFinite,
  requireRows,
  roundSignificant,
  sentence,
} from "./_layout.ts";
import { armStyles, translucent } from "./arm_style.ts";
import type { Dash, Figure, PlotlyAxis, PlotlyTrace } from "./figure.ts";

/** One measured point of one run. */
export interface CurveRow {
  readonly arm: string;
  readonly seed: number;
  readonly x: number;
  readonly y: number;
  /** Rows of one facet share a panel; panels stand side by side in order of appearance. */
  readonly facet?: string;
}

/** How the spread over seeds is drawn. */
export interface Band {
  /** Said in the figure, e.g. "95 % t-interval". */
  readonly label: string;
  /** Lower and upper end from one point's values over seeds (two or more). */
  readonly interval: (values: readonly number[]) => readonly [low: number, high: number];
}

/** From the smallest to the largest seed. */
export const minMaxBand: Band = {
  label: "smallest to largest",
  interval: (values) => [Math.min(...values), Math.max(...values)],
};

/** Student's interval for the mean over seeds; runs must be independent. */
export function studentBand(level = 0.95): Band {
  return {
    label: `${roundSignificant(100 * level)} % t-interval of the mean`,
    interval: (values) => {
      const { low, high } = meanInterval(values, level).interval;
      return [low, high];
    },
  };
}

/** A horizontal line to read curves against. */
export interface Reference {
  readonly y: number;
  readonly label: string;
}

export interface CurveOptions {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly band?: Band;
  readonly references?: readonly Reference[];
  readonly logX?: boolean;
  readonly logY?: boolean;
  /** What to say where every curve is of one seed; that it is so, by default. */
  readonly single?: string;
}

/** The mean over seeds and its band, point by point along x. */
export interface Curve {
  readonly arm: string;
  readonly facet: string | null;
  readonly seeds: readonly number[];
  readonly x: readonly number[];
  readonly mean: readonly number[];
  readonly low: readonly number[];
  readonly high: readonly number[];
}

const referenceDashes: readonly Dash[] = ["dot", "dashdot", "dash", "longdash"];

function grouped<Row, Key>(rows: readonly Row[], key: (row: Row) => Key): Map<Key, Row[]> {
  const groups = new Map<Key, Row[]>();
  for (const row of rows) {
    const group = groups.get(key(row));
    if (group) group.push(row);
    else groups.set(key(row), [row]);
  }
  return groups;
}

/**
 * One curve per arm and facet, in order of appearance. Every seed of an arm must have a value at the same
 * x, once: a mean over changing seeds would bend where a run ends.
 */
export function meanCurves(
  rows: readonly CurveRow[],
  title: string,
  band: Band = minMaxBand,
): readonly Curve[] {
  const curves: Curve[] = [];
  for (const facetRows of grouped(rows, (row) => row.facet ?? null).values()) {
    for (const [arm, armRows] of grouped(facetRows, (row) => row.arm)) {
      const seeds = [...new Set(armRows.map((row) => row.seed))].sort((a, b) => a - b);
      const points = [...grouped(armRows, (row) => row.x)].sort(([a], [b]) => a - b);
      for (const [x, point] of points) {
        for (const seed of seeds) {
          const count = point.filter((row) => row.seed === seed).length;
          if (count !== 1) {
            throw new UserError(
              `figure "${title}": expected one value of "${arm}", seed ${seed} at x = ${x}, found ${count}; give every seed the same points`,
            );
          }
        }
        for (const row of point) {
          requireFinite(row.y, title, `"${arm}", seed ${row.seed}, x = ${x}`);
        }
      }
      const values = points.map(([, point]) => point.map((row) => row.y));
      const intervals = values.map((ys) => ys.length > 1 ? band.interval(ys) : [ys[0]!, ys[0]!]);
      curves.push({
        arm,
        facet: armRows[0]!.facet ?? null,
        seeds,
        x: points.map(([x]) => x),
        mean: values.map((ys) => mean(ys)),
        low: intervals.map(([low]) => low!),
        high: intervals.map(([, high]) => high!),
      });
    }
  }
  return curves;
}

function curveTraces(
  curve: Curve,
  colour: string,
  dash: Dash,
  panel: { readonly xaxis: string; readonly yaxis: string; readonly showlegend: boolean },
): PlotlyTrace[] {
  const line: PlotlyTrace = {
    type: "scatter",
    mode: curve.x.length > 1 ? "lines" : "markers",
    name: legendName(curve.arm),
    legendgroup: curve.arm,
    x: curve.x,
    y: curve.mean,
    line: { color: colour, width: 2.2, dash },
    marker: { color: colour, size: 8 },
    hovertemplate: "%{y}",
    ...panel,
  };
  if (curve.seeds.length < 2) return [line];
  return [{
    type: "scatter",
    mode: "lines",
    legendgroup: curve.arm,
    x: [...curve.x, ...curve.x.toReversed()],
    y: [...curve.high, ...curve.low.toReversed()],
    line: { color: colour, width: 0 },
    fill: "toself",
    fillcolor: translucent(colour, 0.18),
    hoverinfo: "skip",
    ...panel,
    showlegend: false,
  }, line];
}

function spreadInWords(curves: readonly Curve[], band: Band, single: string): string {
  const counts = [...new Set(curves.map((curve) => curve.seeds.length))].sort((a, b) => a - b);
  if (counts.length === 1 && counts[0] === 1) return single;
  const seeds = counts.length === 1
    ? `${counts[0]} seeds`
    : `${counts[0]} to ${counts.at(-1)} seeds`;
  return `Line: mean of ${seeds}. Band: ${band.label}`;
}

/**
 * Curves of several arms: the mean over seeds as a line, the spread as a band, facets side by side on one
 * y scale, references as grey lines. The figure's second line says what the band is.
 *
 * @throws UserError when there are no rows, a value is not finite, or seeds of an arm differ in their x
 */
export function learningCurves(rows: readonly CurveRow[], options: CurveOptions): Figure {
  const { title, xTitle, yTitle, band = minMaxBand, references = [], logX, logY } = options;
  const { single = "One seed each, so no band" } = options;
  requireRows(rows, title, "rows of curves");
  const curves = meanCurves(rows, title, band);
  const styles = armStyles(curves.map((curve) => curve.arm));
  const facets = [...new Set(curves.map((curve) => curve.facet))];
  const gap = 0.04;
  const panelWidth = (1 - gap * (facets.length - 1)) / facets.length;
  const data: PlotlyTrace[] = [];
  const named = new Set<string>();
  const axes: Record<string, PlotlyAxis> = {};
  facets.forEach((facet, index) => {
    const suffix = index === 0 ? "" : String(index + 1);
    const [xaxis, yaxis] = [`x${suffix}`, `y${suffix}`];
    const left = index * (panelWidth + gap);
    axes[`xaxis${suffix}`] = axis(xTitle, {
      ...(logX ? logTicks(curves.flatMap((curve) => curve.x), title) : {}),
      domain: [left, Math.min(1, left + panelWidth)],
      anchor: yaxis,
    });
    axes[`yaxis${suffix}`] = axis(index === 0 ? yTitle : "", {
      ...(logY ? logTicks(curves.flatMap((curve) => [...curve.low, ...curve.high]), title) : {}),
      anchor: xaxis,
      ...(index === 0 ? {} : { matches: "y", showticklabels: false }),
    });
    const panelCurves = curves.filter((curve) => curve.facet === facet);
    for (const curve of panelCurves) {
      const { colour, dash } = styles.get(curve.arm)!;
      const showlegend = !named.has(curve.arm);
      named.add(curve.arm);
      data.push(...curveTraces(curve, colour, dash, { xaxis, yaxis, showlegend }));
    }
    const xs = panelCurves.flatMap((curve) => curve.x);
    references.forEach(({ y, label }, number) => {
      requireFinite(y, title, `the reference "${label}"`);
      data.push({
        type: "scatter",
        mode: "lines",
        name: legendName(label),
        legendgroup: `reference ${label}`,
        showlegend: index === 0,
        x: [Math.min(...xs), Math.max(...xs)],
        y: [y, y],
        line: {
          color: mutedInk,
          width: 1.4,
          dash: referenceDashes[number % referenceDashes.length]!,
        },
        hovertemplate: "%{y}",
        xaxis,
        yaxis,
      });
    });
  });
  const spread = spreadInWords(curves, band, single);
  const ends = curves.map((curve) => {
    const [x, y] = [curve.x.at(-1)!, curve.mean.at(-1)!];
    const range = curve.seeds.length > 1
      ? ` (${inWords(curve.low.at(-1)!)} to ${inWords(curve.high.at(-1)!)})`
      : "";
    const where = curve.facet === null ? "" : `${curve.facet}, `;
    return `${where}${curve.arm}: ${inWords(y)}${range} at ${inWords(x)}`;
  });
  const marks = references.map(({ y, label }) => `${label}: ${inWords(y)}`);
  return makeFigure({
    title,
    subtitle: spread,
    data,
    layout: {
      ...axes,
      hovermode: "x",
      ...(facets.length === 1 && facets[0] === null ? {} : {
        margin: { l: 64, r: 24, t: 104, b: 56 },
        annotations: facets.map((facet, index) => ({
          text: `<b>${plainText(facet ?? "")}</b>`,
          x: index * (panelWidth + gap) + panelWidth / 2,
          y: 1,
          xref: "paper",
          yref: "paper",
          xanchor: "center" as const,
          yanchor: "bottom" as const,
          showarrow: false,
          font: { size: 13, color: mutedInk },
        })),
      }),
    },
    altText: `${sentence(title)} ${yTitle} against ${xTitle}. ${sentence(spread)} Ends: ${
      sentence([...ends, ...marks].join("; "))
    }`,
  });
}
