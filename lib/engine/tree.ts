/** Trees of tensors: parameters, gradients and optimizer state are all plain nested values. */

import * as tf from "@tensorflow/tfjs";
import type { Tensor } from "./tensor.ts";

/** A tensor, or an array or record of trees. */
export type Tree = Tensor | readonly Tree[] | { readonly [name: string]: Tree };

/** The tensors of a tree in a fixed order, each with its dot-joined path, e.g. `blocks.0.mix.bias`. */
export function namedLeaves(tree: Tree, prefix = ""): { name: string; tensor: Tensor }[] {
  if (tree instanceof tf.Tensor) return [{ name: prefix, tensor: tree }];
  return Object.entries(tree).flatMap(([key, child]) =>
    namedLeaves(child, prefix === "" ? key : `${prefix}.${key}`)
  );
}

/** The tensors of a tree, in the order of {@linkcode namedLeaves}. */
export function leavesOf(tree: Tree): Tensor[] {
  return namedLeaves(tree).map((leaf) => leaf.tensor);
}

/** A tree of the same form with every tensor replaced. */
export function mapTree<T extends Tree>(
  tree: T,
  replace: (tensor: Tensor, name: string) => Tensor,
): T {
  const walk = (node: Tree, name: string): Tree => {
    if (node instanceof tf.Tensor) return replace(node, name);
    const path = (key: string | number) => name === "" ? `${key}` : `${name}.${key}`;
    if (Array.isArray(node)) return node.map((child, index) => walk(child, path(index)));
    return Object.fromEntries(
      Object.entries(node).map(([key, child]) => [key, walk(child, path(key))]),
    );
  };
  return walk(tree, "") as T;
}

/** A tree of the form of `tree` that holds `leaves`, given in the order of {@linkcode leavesOf}. */
export function withLeaves<T extends Tree>(tree: T, leaves: readonly Tensor[]): T {
  let next = 0;
  const result = mapTree(tree, () => leaves[next++]!);
  if (next !== leaves.length) {
    throw new RangeError(`expected ${next} tensors for this tree, found ${leaves.length}`);
  }
  return result;
}

/** Frees every tensor of a tree. */
export function disposeTree(tree: Tree): void {
  for (const leaf of leavesOf(tree)) leaf.dispose();
}

/** The number of scalars in a tree, e.g. a model's parameter count. */
export function countElements(tree: Tree): number {
  return leavesOf(tree).reduce((total, leaf) => total + leaf.size, 0);
}

/**
 * The value of a scalar function of a tree and its gradient with respect to every tensor in it.
 *
 * @throws Error naming the tensors on which the value does not depend.
 */
export function valueAndGradient<T extends Tree>(
  fn: (tree: T) => Tensor,
  tree: T,
): { value: Tensor; gradient: T } {
  const leaves = leavesOf(tree);
  const { value, grads } = tf.engine().gradients(
    () => fn(tree) as tf.Scalar,
    leaves,
    undefined,
    true,
  );
  const missing = namedLeaves(tree).filter((_, index) => !grads[index]).map((leaf) => leaf.name);
  if (missing.length > 0) {
    throw new Error(
      `the loss does not depend on ${missing.join(", ")}; leave them out of the tree`,
    );
  }
  return { value, gradient: withLeaves(tree, grads) };
}
