/**
 * Know Your Limits: the public surface, a namespace for each part. `README.md` has the map.
 */

export * as codec from "./codec/mod.ts";
export * as engine from "./engine/mod.ts";
export * as entropy from "./entropy/mod.ts";
export * as experiments from "./experiments/mod.ts";
export * as figures from "./figures/mod.ts";
export * as layers from "./layers/mod.ts";
export * as measure from "./measure/mod.ts";
export * as models from "./models/mod.ts";
export * as qat from "./qat/mod.ts";
export * as text from "./text/mod.ts";
export * as tokenizer from "./tokenizer/mod.ts";
export * as train from "./train/mod.ts";
export { UserError } from "./errors.ts";
export { createRandom, type Random } from "./random.ts";
