/** Estimates of how uncertain the next token is (paper §4), and what is done with them. */

export * from "./corpus_bound.ts";
export * from "./ensemble.ts";
export * from "./entropy_store.ts";
export * from "./estimators.ts";
export * from "./gradient_input.ts";
export * from "./normalize.ts";
export * from "./occlusion.ts";
export * from "./pad_shift.ts";
export * from "./pad_shift_cost.ts";
export * from "./predictive.ts";
export * from "./second_order.ts";
export * from "./summaries.ts";
export * from "./text_estimates.ts";
export * from "./token_estimate.ts";
export * from "./transfer.ts";
export * from "./two_window.ts";
export * from "./window_estimates.ts";
