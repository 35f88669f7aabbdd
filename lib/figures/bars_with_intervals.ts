import { UserError } from "../errors.ts";
import {
  axis,
  errorBars,
  inWords,
  legendName,
  makeFigure,
  requireFinite,
  requireRows,
  sentence,
  wrapped,
} from "./_layout.ts";
import { armStyles, tint } from "./arm_style.ts";
import type { BarTrace, Figure } from "./figure.ts";

/** One bar: its value and, where known, the ends of its interval. */
export interface BarRow {
  /** What the bars beside it are compared on, e.g. a data set or a number format. */
  readonly group: string;
  readonly arm: string;
  readonly value: number;
  readonly interval?: readonly [low: number, high: number];
}

export interface BarOptions {
  readonly title: string;
  readonly groupTitle: string;
  readonly valueTitle: string;
  /** What the intervals are, e.g. "95 % t-interval over 3 seeds"; needed when a row has one. */
  readonly intervalLabel?: string;
  /** Horizontal bars leave room for long group names. Default "vertical". */
  readonly orientation?: "vertical" | "horizontal";
  /** Arms on top of each other, for parts of a whole; then no row has an interval. */
  readonly stacked?: boolean;
  /** Range of the value axis where it should not start at zero: differences are then easier to see. */
  readonly valueRange?: readonly [number, number];
}

/**
 * Bars of several arms, grouped, with error bars; controls are hatched.
 *
 * @throws UserError when there are no rows, a value is not finite, an interval does not hold its value
 * or stands on a stacked bar, or an arm has two bars in one group
 */
export function barsWithIntervals(rows: readonly BarRow[], options: BarOptions): Figure {
  const { title, groupTitle, valueTitle, intervalLabel, stacked = false, valueRange } = options;
  const horizontal = options.orientation === "horizontal";
  requireRows(rows, title, "bars");
  if (intervalLabel === undefined && rows.some((row) => row.interval)) {
    throw new UserError(
      `figure "${title}": expected intervalLabel, since rows have intervals; say what they are`,
    );
  }
  if (stacked && rows.some((row) => row.interval)) {
    throw new UserError(
      `figure "${title}": expected stacked bars without intervals, found some; leave them out`,
    );
  }
  const groups = [...new Set(rows.map((row) => row.group))];
  const arms = [...new Set(rows.map((row) => row.arm))];
  // Bars that are alone in their groups need no place for others beside them.
  const isAlone = arms.length > 1 && groups.length === rows.length;
  const styles = armStyles(arms);
  const data = arms.map((arm): BarTrace => {
    const bars = groups.map((group) => {
      const found = rows.filter((row) => row.arm === arm && row.group === group);
      if (found.length > 1) {
        throw new UserError(
          `figure "${title}": expected one bar for "${arm}" in "${group}", found ${found.length}`,
        );
      }
      const [row] = found;
      if (row) requireFinite(row.value, title, `"${arm}" in "${group}"`);
      return row;
    });
    const values = bars.map((bar) => bar?.value ?? null);
    const names = groups.map((group) => wrapped(group, horizontal ? 44 : 18));
    const { colour, isControl } = styles.get(arm)!;
    const error = errorBars(bars, title, arm);
    return {
      type: "bar",
      orientation: horizontal ? "h" : "v",
      name: legendName(arm),
      x: horizontal ? values : names,
      y: horizontal ? names : values,
      marker: {
        color: colour,
        line: { color: colour, width: 1 },
        ...(isControl
          ? { pattern: { shape: "/", size: 7, solidity: 0.35, fgcolor: tint(colour, 0.7) } }
          : {}),
      },
      ...(error === null ? {} : horizontal ? { error_x: error } : { error_y: error }),
      hovertemplate: `%{${horizontal ? "x" : "y"}}`,
    };
  });
  const groupAxis = axis(groupTitle, {
    type: "category",
    showgrid: false,
    ...(horizontal ? { autorange: "reversed" as const } : {}),
  });
  const valueAxis = axis(valueTitle, {
    zeroline: true,
    zerolinecolor: "#222222",
    zerolinewidth: 1,
    ...(valueRange ? { range: valueRange } : {}),
  });
  const words = rows.map(({ group, arm, value, interval }) =>
    `${group}, ${arm}: ${inWords(value)}${
      interval ? ` (${inWords(interval[0])} to ${inWords(interval[1])})` : ""
    }`
  );
  const subtitle = intervalLabel === undefined ? undefined : `Error bars: ${intervalLabel}`;
  return makeFigure({
    title,
    ...(subtitle === undefined ? {} : { subtitle }),
    data,
    layout: {
      barmode: stacked ? "stack" : isAlone ? "overlay" : "group",
      bargap: 0.28,
      xaxis: horizontal ? valueAxis : groupAxis,
      yaxis: horizontal ? groupAxis : valueAxis,
    },
    altText: `${sentence(title)} ${valueTitle} by ${groupTitle}.${
      subtitle === undefined ? "" : ` ${subtitle}.`
    } ${words.join("; ")}.`,
  });
}
