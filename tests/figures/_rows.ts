import type { CurveRow } from "../../lib/figures/mod.ts";

/** Two arms, three seeds, x = 1, 2, 3; the EEM leads by 0.1 · x; seeds lie 0.3 apart. */
export const curveRows: readonly CurveRow[] = ["CLM", "EEM 8 numbers"].flatMap((arm) =>
  [0, 1, 2].flatMap((seed) =>
    [1, 2, 3].map((x) => ({
      arm,
      seed,
      x,
      y: 5 - x + 0.3 * seed - (arm === "CLM" ? 0 : 0.1 * x),
    }))
  )
);

export const curveOptions = {
  title: "Held-out loss",
  xTitle: "training tokens",
  yTitle: "loss (nats per token)",
} as const;
