/** The paper's architectures: configuration, parameter tree, initialization and function of each. */

export * from "./augmented_config.ts";
export * from "./augmented_decoder.ts";
export * from "./autoencoder.ts";
export * from "./backbone.ts";
export * from "./causal_model.ts";
export * from "./incremental.ts";
export * from "./language_model.ts";
export * from "./masked_mixer.ts";
export * from "./model_checks.ts";
export * from "./model_config.ts";
export * from "./multiply_adds.ts";
export * from "./paper_models.ts";
export * from "./parameter_count.ts";
export * from "./recurrent.ts";
export * from "./second_order.ts";
export * from "./token_losses.ts";
export * from "./transformer.ts";
