import { ones, type Tensor, zeros } from "../engine/mod.ts";

/** LayerNorm's gain (`weight`) and bias, both `[width]`; applied by the engine's `layerNorm`. */
export type LayerNorm = { weight: Tensor; bias: Tensor };

/** RMSNorm's gain, `[width]`; applied by the engine's `rmsNorm`. */
export type RmsNorm = { weight: Tensor };

export function initLayerNorm(width: number): LayerNorm {
  return { weight: ones([width]), bias: zeros([width]) };
}

export function initRmsNorm(width: number): RmsNorm {
  return { weight: ones([width]) };
}
