/** Parameter trees to and from stored tensors. */

import { mapTree, namedLeaves, tensor, type Tree } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import type { StoredTensor } from "./safetensors.ts";

/** The tensors of a tree under `prefix`, read from the device. */
export function storeTree(tree: Tree, prefix = ""): Map<string, StoredTensor> {
  return new Map(
    namedLeaves(tree, prefix).map(({ name, tensor }) => {
      const data = tensor.dataSync() as Float32Array;
      return [name, { shape: tensor.shape, data: data.slice() }];
    }),
  );
}

/**
 * A tree of the form of `example` with the stored values; `example` is left as it is.
 *
 * @throws UserError naming the first tensor that is missing or of another shape.
 */
export function restoreTree<T extends Tree>(
  example: T,
  stored: ReadonlyMap<string, StoredTensor>,
  fileName: string,
  prefix = "",
): T {
  const restored = mapTree(example, (leaf, path) => {
    const name = prefix === "" ? path : `${prefix}.${path}`;
    const found = stored.get(name);
    if (found === undefined || `${found.shape}` !== `${leaf.shape}`) {
      throw new UserError(
        `${fileName}: expected ${name} of shape [${leaf.shape}], found ${
          found === undefined ? "no such tensor" : `[${found.shape}]`
        }; is it the weights file of another model?`,
      );
    }
    return tensor(found.data, [...found.shape]);
  });
  return restored;
}
