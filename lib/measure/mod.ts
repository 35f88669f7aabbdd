/** Bits per byte with everything paid, statistics with intervals, and verdicts on claims. */
export * from "./accounting.ts";
export * from "./accuracy.ts";
export * from "./statistics.ts";
export * from "./verdict.ts";
