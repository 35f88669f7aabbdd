/**
 * Bits per byte with everything paid, how long files must be, statistics with intervals, verdicts on
 * claims; what rounding costs a model, and how its activations are spread.
 */
export * from "./accounting.ts";
export * from "./accuracy.ts";
export * from "./activations.ts";
export * from "./file_accounting.ts";
export * from "./flops.ts";
export * from "./sensitivity.ts";
export * from "./statistics.ts";
export * from "./step_timers.ts";
export * from "./temperature.ts";
export * from "./timing.ts";
export * from "./verdict.ts";
