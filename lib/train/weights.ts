/** Parameter trees to and from stored tensors. */

import {
  disposeTree,
  mapTree,
  namedLeaves,
  type Tensor,
  tensor,
  type Tree,
} from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import type { StoredTensor } from "./safetensors.ts";

/** The tensors of a tree under `prefix`, read from the device. */
export async function storeTree(tree: Tree, prefix = ""): Promise<Map<string, StoredTensor>> {
  const stored = new Map<string, StoredTensor>();
  for (const { name, tensor } of namedLeaves(tree, prefix)) {
    const data = await tensor.data() as Float32Array;
    stored.set(name, { shape: tensor.shape, data: data.slice() });
  }
  return stored;
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
  const restored: Tensor[] = [];
  try {
    return mapTree(example, (leaf, path) => {
      const name = prefix === "" ? path : `${prefix}.${path}`;
      const found = stored.get(name);
      if (found === undefined || `${found.shape}` !== `${leaf.shape}`) {
        throw new UserError(
          `${fileName}: expected ${name} of shape [${leaf.shape}], found ${
            found === undefined ? "no such tensor" : `[${found.shape}]`
          }; is it the weights file of another model?`,
        );
      }
      const values = tensor(found.data, [...found.shape]);
      restored.push(values);
      return values;
    });
  } catch (error) {
    disposeTree(restored);
    throw error;
  }
}
