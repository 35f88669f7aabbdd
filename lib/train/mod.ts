/** Losses, optimizer, schedule, the loop and what it saves. */

export * from "./adamw.ts";
export * from "./batch.ts";
export * from "./checkpoint.ts";
export * from "./data_parallel.ts";
export * from "./evaluate.ts";
export * from "./loop.ts";
export * from "./objectives.ts";
export * from "./reference_names.ts";
export * from "./safetensors.ts";
export * from "./schedule.ts";
export * from "./step.ts";
export * from "./weights.ts";
