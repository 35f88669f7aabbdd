import { UserError } from "../errors.ts";
import { placeLabels } from "./_label_places.ts";
import {
  axis,
  figureHeight,
  figureWidth,
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

/** What an arm gains over its baseline and what its embedding costs (paper §3.1, §3.3). */
export interface LeadRow {
  readonly arm: string;
  /** Model family, e.g. "mixer" or "transformer": one marker shape each. */
  readonly family: string;
  /** The embedding's price L_o = n_p·b_p·ln 2 / N, nats per token. */
  readonly priceNats: number;
  /** Baseline loss − arm's loss, nats per token, with the ends of its interval. */
  readonly leadNats: number;
  readonly low: number;
  readonly high: number;
  /** Written beside the point; default the arm. */
  readonly label?: string;
}

export interface LeadOptions {
  readonly title: string;
  /** What low and high are, e.g. "smallest to largest of 3 seeds". */
  readonly intervalLabel: string;
}

const familySymbols = ["circle", "square", "diamond", "triangle-up", "cross"] as const;
const labelSizePx = 12;
const margin = { l: 76, r: 190, t: 82, b: 60 } as const;

/**
 * Lead against price, nats per token: above the diagonal an arm compresses better than its baseline even
 * after its embedding is paid for. Points are labelled beside them, without overlap.
 *
 * @throws UserError when there are no rows, a number is not finite or an interval does not hold its lead
 */
export function leadAgainstPrice(rows: readonly LeadRow[], options: LeadOptions): Figure {
  const { title, intervalLabel } = options;
  requireRows(rows, title, "rows of leads");
  for (const row of rows) {
    for (const value of [row.priceNats, row.leadNats, row.low, row.high]) {
      requireFinite(value, title, `"${row.arm}"`);
    }
    if (row.low > row.leadNats || row.high < row.leadNats) {
      throw new UserError(
        `figure "${title}": expected low ≤ lead ≤ high for "${row.arm}", found ${row.low}, ${row.leadNats}, ${row.high}`,
      );
    }
  }
  const xRange = paddedRange([0, ...rows.map((row) => row.priceNats)]);
  const yRange = paddedRange([0, ...rows.flatMap((row) => [row.low, row.high])]);
  const width = figureWidth - margin.l - margin.r;
  const height = figureHeight - margin.t - margin.b;
  const xPixel = (x: number) => (x - xRange[0]) / (xRange[1] - xRange[0]) * width;
  const yPixel = (y: number) => (yRange[1] - y) / (yRange[1] - yRange[0]) * height;

  const styles = armStyles(rows.map((row) => row.arm));
  const families = [...new Set(rows.map((row) => row.family))];
  const data: PlotlyTrace[] = [{
    type: "scatter",
    mode: "lines",
    name: "break-even: lead = price",
    x: [Math.max(xRange[0], yRange[0]), Math.min(xRange[1], yRange[1])],
    y: [Math.max(xRange[0], yRange[0]), Math.min(xRange[1], yRange[1])],
    line: { color: "#222222", width: 1.4 },
    hoverinfo: "skip",
  }];
  const arms = [...new Set(rows.map((row) => `${row.family}\n${row.arm}`))];
  for (const key of arms) {
    const points = rows.filter((row) => `${row.family}\n${row.arm}` === key);
    const { arm, family } = points[0]!;
    const { colour, isControl } = styles.get(arm)!;
    const shape = familySymbols[families.indexOf(family) % familySymbols.length]!;
    data.push({
      type: "scatter",
      mode: "markers",
      name: legendName(families.length > 1 ? `${arm}, ${family}` : arm),
      x: points.map((point) => point.priceNats),
      y: points.map((point) => point.leadNats),
      error_y: {
        type: "data",
        symmetric: false,
        array: points.map((point) => point.high - point.leadNats),
        arrayminus: points.map((point) => point.leadNats - point.low),
        color: colour,
        thickness: 1.6,
        width: 5,
      },
      marker: {
        color: colour,
        symbol: isControl ? `${shape}-open` : shape,
        size: 11,
        line: { color: colour, width: 1.6 },
      },
      hovertemplate: "price %{x}, lead %{y}",
    });
  }
  const places = placeLabels(
    rows.map((row) => ({
      text: row.label ?? row.arm,
      x: xPixel(row.priceNats),
      y: yPixel(row.leadNats),
      top: yPixel(row.high),
      bottom: yPixel(row.low),
    })),
    { width, height, sizePx: labelSizePx },
    { x0: xPixel(-10), y0: yPixel(-10), x1: xPixel(10), y1: yPixel(10) },
  );
  const words = rows.map((row) =>
    `${row.family}, ${row.label ?? row.arm}: lead ${inWords(row.leadNats)} (${
      inWords(row.low)
    } to ${inWords(row.high)}), price ${inWords(row.priceNats)}, ${
      row.low > row.priceNats ? "pays" : row.high < row.priceNats ? "does not pay" : "undecided"
    }`
  );
  return makeFigure({
    title,
    subtitle: `Above the line the embedding pays for itself. Error bars: ${intervalLabel}`,
    data,
    layout: {
      margin,
      xaxis: axis("price of the embedding (nats per token)", {
        range: xRange,
        automargin: false,
        zeroline: true,
        zerolinecolor: mutedInk,
        zerolinewidth: 1,
      }),
      yaxis: axis("lead over the baseline (nats per token)", {
        range: yRange,
        automargin: false,
        zeroline: true,
        zerolinecolor: mutedInk,
        zerolinewidth: 1,
      }),
      annotations: rows.map((row, index) => {
        const { dx, dy } = places[index]!;
        const far = Math.hypot(dx, dy) > 48;
        return {
          text: plainText(row.label ?? row.arm),
          x: row.priceNats,
          y: row.leadNats,
          xref: "x",
          yref: "y",
          xanchor: "center" as const,
          yanchor: "middle" as const,
          showarrow: true,
          ax: dx,
          ay: dy,
          arrowhead: 0,
          arrowwidth: far ? 0.8 : 0.1,
          arrowcolor: far ? mutedInk : "rgba(0,0,0,0)",
          standoff: 7,
          bgcolor: "rgba(255,255,255,0.8)",
          font: { size: labelSizePx, color: "#222222" },
        };
      }),
    },
    altText: `${
      sentence(title)
    } Lead over the baseline against the price of the embedding, nats per token. ${
      words.join("; ")
    }.`,
  });
}
