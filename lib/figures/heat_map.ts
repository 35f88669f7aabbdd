import { UserError } from "../errors.ts";
import {
  axis,
  figureHeight,
  inWords,
  makeFigure,
  plainText,
  requireFinite,
  requireRows,
  roundSignificant,
  sentence,
} from "./_layout.ts";
import type { Figure, PlotlyAnnotation } from "./figure.ts";

/** A table of values; `null` is left white. */
export interface HeatMapCells {
  /** Labels from top to bottom. */
  readonly rows: readonly string[];
  /** Labels from left to right. */
  readonly columns: readonly string[];
  /** One list a row. */
  readonly values: readonly (readonly (number | null)[])[];
}

export interface HeatMapOptions {
  readonly title: string;
  readonly rowTitle: string;
  readonly columnTitle: string;
  readonly valueTitle: string;
  /** "sequential" from low to high; "diverging" around `centre`, orange above and blue below it. */
  readonly scale?: "sequential" | "diverging";
  /** Default 0; only for a diverging scale. */
  readonly centre?: number;
}

// Cividis and a blue-orange pair: both keep their order in colour-blind eyes.
const sequential = [
  [0, "#00224E"],
  [0.2, "#35456C"],
  [0.4, "#666970"],
  [0.6, "#948E77"],
  [0.8, "#C8B866"],
  [1, "#FEE838"],
] as const;
const diverging = [
  [0, "#0B5C9E"],
  [0.25, "#7FB3D9"],
  [0.5, "#F7F7F7"],
  [0.75, "#F0A868"],
  [1, "#B34700"],
] as const;

const maxLabelledCells = 150;
const maxTicks = 26;

/** All labels, or every second, fifth, tenth …: as many as can be read. */
function thinned(labels: readonly string[]): { tickvals: number[]; ticktext: string[] } {
  const least = labels.length / maxTicks;
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((candidate) => candidate >= least) ?? 1000;
  const kept = labels.map((_, index) => index).filter((index) => index % step === 0);
  return { tickvals: kept, ticktext: kept.map((index) => plainText(labels[index]!)) };
}

/**
 * A table as colours, with the numbers in the cells when there is room for them.
 *
 * @throws UserError when the table is empty, ragged or not finite
 */
export function heatMap(cells: HeatMapCells, options: HeatMapOptions): Figure {
  const { title, rowTitle, columnTitle, valueTitle, scale = "sequential", centre = 0 } = options;
  const { rows, columns, values } = cells;
  requireRows(rows, title, "rows of cells");
  requireRows(columns, title, "columns of cells");
  if (values.length !== rows.length || values.some((row) => row.length !== columns.length)) {
    throw new UserError(
      `figure "${title}": expected ${rows.length} rows of ${columns.length} values as labelled, found ${values.length} of ${
        [...new Set(values.map((row) => row.length))].join(" or ")
      }`,
    );
  }
  let [low, high] = [Infinity, -Infinity];
  values.forEach((row, index) =>
    row.forEach((value, column) => {
      if (value === null) return;
      requireFinite(value, title, `row "${rows[index]}", column "${columns[column]}"`);
      low = Math.min(low, value);
      high = Math.max(high, value);
    })
  );
  if (low > high) throw new UserError(`figure "${title}": expected values, found only empty cells`);
  const [lowest, highest] = [low, high];
  if (scale === "diverging") {
    const reach = Math.max(high - centre, centre - low) || 1;
    [low, high] = [centre - reach, centre + reach];
  } else if (low === high) high = low + 1;
  const annotations: PlotlyAnnotation[] = [];
  if (rows.length * columns.length <= maxLabelledCells) {
    values.forEach((row, y) =>
      row.forEach((value, x) => {
        if (value === null) return;
        const share = (value - low) / (high - low);
        const dark = scale === "diverging" ? Math.abs(share - 0.5) > 0.36 : share < 0.55;
        annotations.push({
          text: String(roundSignificant(value, 3)).replace("-", "−"),
          x,
          y,
          xref: "x",
          yref: "y",
          xanchor: "center",
          yanchor: "middle",
          showarrow: false,
          font: { size: columns.length > 12 ? 10 : 12, color: dark ? "#FFFFFF" : "#222222" },
        });
      })
    );
  }
  const gap = rows.length * columns.length <= maxLabelledCells ? 2 : 0;
  return makeFigure({
    title,
    data: [{
      type: "heatmap",
      x: columns.map((_, index) => index),
      y: rows.map((_, index) => index),
      z: values,
      zmin: low,
      zmax: high,
      colorscale: scale === "diverging" ? diverging : sequential,
      colorbar: {
        title: { text: plainText(valueTitle), side: "right" },
        thickness: 16,
        outlinewidth: 0,
      },
      xgap: gap,
      ygap: gap,
      hovertemplate: "%{z}<extra></extra>",
    }],
    layout: {
      height: Math.max(figureHeight, Math.min(640, 160 + 20 * rows.length)),
      xaxis: axis(columnTitle, { tickmode: "array", showgrid: false, ...thinned(columns) }),
      yaxis: axis(rowTitle, {
        tickmode: "array",
        showgrid: false,
        autorange: "reversed",
        ...thinned(rows),
      }),
      annotations,
    },
    altText: `${
      sentence(title)
    } ${valueTitle}: ${rows.length} rows (${rowTitle}) by ${columns.length} columns (${columnTitle}), from ${
      inWords(lowest)
    } to ${inWords(highest)}.`,
  });
}
