/** Estimates of one window put on a scale of 0 to 1 (paper §4.4). */

import type { WindowEstimates } from "./window_estimates.ts";

/**
 * `(y − min)/(max − min)` with the least and largest estimate of each window; tokens without one
 * do not count and stay so. Where all estimates of a window are equal, they become 0.
 */
export function minMaxNormalize(estimates: WindowEstimates): WindowEstimates {
  return estimates.map((window) => {
    let least = Infinity, largest = -Infinity;
    for (const estimate of window) {
      if (estimate === null) continue;
      least = Math.min(least, estimate);
      largest = Math.max(largest, estimate);
    }
    const range = largest - least;
    return window.map((estimate) =>
      estimate === null ? null : range === 0 ? 0 : (estimate - least) / range
    );
  });
}
