/** The building blocks of the models: a parameter type, its initialization and its function each. */

export * from "./attention.ts";
export * from "./feed_forward.ts";
export * from "./hooks.ts";
export * from "./init.ts";
export * from "./linear.ts";
export * from "./lstm.ts";
export * from "./masked_mixing.ts";
export * from "./norm.ts";
export * from "./slots.ts";
