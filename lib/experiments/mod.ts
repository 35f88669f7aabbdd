/** Presets, the run store and the paper's experiments. */

export * from "./arm_summary.ts";
export * from "./arms.ts";
export * from "./autoencoder_arms.ts";
export * from "./autoencoder_claims.ts";
export * from "./autoencoder_figures.ts";
export * from "./baseline_arms.ts";
export * from "./baseline_claims.ts";
export * from "./baseline_summary.ts";
export * from "./claim_row.ts";
export * from "./claims.ts";
export * from "./data.ts";
export * from "./frozen_arms.ts";
export * from "./handover_arms.ts";
export * from "./handover_claims.ts";
export * from "./handover_figures.ts";
export * from "./handover_names.ts";
export * from "./interrupt.ts";
export * from "./notebook.ts";
export * from "./presets.ts";
export * from "./provenance.ts";
export * from "./run.ts";
export * from "./run_spec.ts";
export * from "./run_store.ts";
export * from "./tour.ts";
export * from "./weights.ts";
