import { UserError } from "../errors.ts";
import {
  axis,
  inWords,
  legendName,
  makeFigure,
  requireFinite,
  requireRows,
  sentence,
} from "./_layout.ts";
import { armStyles, translucent } from "./arm_style.ts";
import type { Figure } from "./figure.ts";

/** Values of one arm, in any order. */
export interface Sample {
  readonly arm: string;
  readonly values: ArrayLike<number>;
}

export interface HistogramOptions {
  readonly title: string;
  readonly xTitle: string;
  /** Number of bins over the range of all samples together; default 40. */
  readonly bins?: number;
}

/** Shares of the values in each bin, which sum to one; the last bin includes the right edge. */
export function binShares(values: ArrayLike<number>, edges: readonly number[]): number[] {
  const [low, high] = [edges[0]!, edges.at(-1)!];
  const bins = edges.length - 1;
  const counts = new Array<number>(bins).fill(0);
  for (const value of Array.from(values)) {
    const bin = Math.min(bins - 1, Math.floor((value - low) / (high - low) * bins));
    counts[bin]! += 1;
  }
  return counts.map((count) => count / values.length);
}

/**
 * How values spread: shares by bin, with the same bins for all arms, drawn as outlines so that arms can
 * lie over each other.
 *
 * @throws UserError when a sample is empty or not finite
 */
export function histogram(samples: readonly Sample[], options: HistogramOptions): Figure {
  const { title, xTitle, bins = 40 } = options;
  requireRows(samples, title, "samples");
  if (!Number.isInteger(bins) || bins < 1) {
    throw new UserError(`figure "${title}": expected a whole number of bins, found ${bins}`);
  }
  let [low, high] = [Infinity, -Infinity];
  for (const { arm, values } of samples) {
    requireRows(values, title, `values of "${arm}"`);
    for (const value of Array.from(values)) {
      requireFinite(value, title, `"${arm}"`);
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const edges = Array.from({ length: bins + 1 }, (_, index) => low + (high - low) * index / bins);
  const styles = armStyles(samples.map((sample) => sample.arm));
  const words: string[] = [];
  const data = samples.map(({ arm, values }) => {
    const { colour, dash } = styles.get(arm)!;
    const shares = binShares(values, edges);
    const sorted = Float64Array.from(Array.from(values)).sort();
    const middle = sorted.length >> 1;
    const median = sorted.length % 2 === 1
      ? sorted[middle]!
      : (sorted[middle - 1]! + sorted[middle]!) / 2;
    words.push(
      `${arm}: ${values.length} values from ${inWords(sorted[0]!)} to ${
        inWords(sorted.at(-1)!)
      }, median ${inWords(median)}`,
    );
    return {
      type: "scatter" as const,
      mode: "lines" as const,
      name: legendName(arm),
      // A step holds its value until the next edge: the first and last return to the axis.
      x: [edges[0]!, ...edges, edges.at(-1)!],
      y: [0, ...shares, shares.at(-1)!, 0],
      line: { color: colour, width: 1.8, dash, shape: "hv" as const },
      fill: "tozeroy" as const,
      fillcolor: translucent(colour, samples.length > 1 ? 0.16 : 0.35),
      hovertemplate: "%{y} of values from %{x}",
    };
  });
  return makeFigure({
    title,
    subtitle: `Share of values in each of ${bins} bins`,
    data,
    layout: {
      xaxis: axis(xTitle),
      yaxis: axis("share of values", { rangemode: "tozero" }),
      showlegend: samples.length > 1,
    },
    altText: `${sentence(title)} Histogram of ${xTitle}. ${words.join("; ")}.`,
  });
}
