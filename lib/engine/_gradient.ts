import * as tf from "@tensorflow/tfjs";
import type { Tensor } from "./tensor.ts";

type Save = (tensors: Tensor[]) => void;

/** tf.customGrad with the types of the tensors in and out; what the gradient needs goes to `save`. */
export function withGradient(
  fn: (inputs: Tensor[], save: Save) => Tensor,
  gradient: (dy: Tensor, saved: Tensor[]) => Tensor[],
  inputs: Tensor[],
): Tensor {
  const op = tf.customGrad((...parameters) => {
    const save = parameters.pop() as unknown as Save;
    const value = fn(parameters as Tensor[], save);
    return { value, gradFunc: (dy: Tensor, saved: Tensor[]) => gradient(dy, saved) };
  });
  return op(...inputs);
}
