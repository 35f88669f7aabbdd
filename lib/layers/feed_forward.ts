import { gelu, mul, silu, type Tensor } from "../engine/mod.ts";
import type { Random } from "../random.ts";
import { initLinear, type Linear, linear } from "./linear.ts";
import { initNormal } from "./init.ts";

/** The mixer's feed-forward: Linear(d, 4d) → GELU → Linear(4d, d), with biases (paper §2.1). */
export type FeedForward = { expand: Linear; contract: Linear };

export function initFeedForward(random: Random, width: number): FeedForward {
  return {
    expand: initLinear(random.stream("expand"), width, 4 * width),
    contract: initLinear(random.stream("contract"), 4 * width, width),
  };
}

export function feedForward(layer: FeedForward, x: Tensor): Tensor {
  return linear(layer.contract, gelu(linear(layer.expand, x)));
}

/** Llama's feed-forward: `(SiLU(x G) ⊙ x U) D`, inner width 4d, no biases (paper §2.3). */
export type GatedFeedForward = { gate: Linear; up: Linear; down: Linear };

export function initGatedFeedForward(
  random: Random,
  width: number,
  deviation: number,
): GatedFeedForward {
  const draw = (name: string, from: number, to: number) => ({
    weight: initNormal(random.stream(name), [from, to], deviation),
  });
  return {
    gate: draw("gate", width, 4 * width),
    up: draw("up", width, 4 * width),
    down: draw("down", 4 * width, width),
  };
}

export function gatedFeedForward(layer: GatedFeedForward, x: Tensor): Tensor {
  return linear(layer.down, mul(silu(linear(layer.gate, x)), linear(layer.up, x)));
}
