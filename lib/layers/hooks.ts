/**
 * Hooks of named modules: what quantization and noise do to a model without a copy of it.
 *
 * A module is a part of the parameter tree with a weight of two or more axes: a linear layer, an
 * embedding table, a masked mixing, whose heads stand side by side; norms are none. Its name is its
 * path in the tree, e.g. `encoder.blocks.0.attention.query`. Hooks ride on the layers of a tree that
 * is made for one forward pass, under a symbol that trees and compiled functions do not look at:
 * they are attached inside the function that is compiled, which `BatchOptions.hooks` does.
 */

import { namedLeaves, type Tensor, type Tree } from "../engine/mod.ts";
import { UserError } from "../errors.ts";

/** Gives a tensor of the same shape. */
export type TensorHook = (x: Tensor) => Tensor;

export type ModuleHooks = Readonly<{
  /** Of the activations that go in; tables of embeddings have none. */
  input?: TensorHook;
  /** Of the activations that come out. */
  output?: TensorHook;
  /** Of the weight alone, not of the bias. */
  weight?: TensorHook;
}>;

/** Hooks by the names of modules. */
export type Hooks = Readonly<Record<string, ModuleHooks>>;

const HOOKS = Symbol("hooks");

type Hooked = { readonly [HOOKS]?: ModuleHooks };

/** What a layer reads in the place of `x`. */
export function hookedInput(layer: object, x: Tensor): Tensor {
  return (layer as Hooked)[HOOKS]?.input?.(x) ?? x;
}

/** What a layer gives in the place of `y`. */
export function hookedOutput(layer: object, y: Tensor): Tensor {
  return (layer as Hooked)[HOOKS]?.output?.(y) ?? y;
}

/** Whether something acts on what a layer gives. */
export function hasHookedOutput(layer: object): boolean {
  return (layer as Hooked)[HOOKS]?.output !== undefined;
}

/** The names of a model's modules, in the order of its parameter tree. */
export function moduleNames(params: Tree): string[] {
  return namedLeaves(params)
    .filter(({ name, tensor }) => name.endsWith(WEIGHT) && tensor.rank >= 2)
    .map(({ name }) => name.slice(0, -WEIGHT.length));
}

const WEIGHT = ".weight";

/** Whether a module is a table of embeddings, which reads ids or nothing. */
export function isTable(moduleName: string): boolean {
  return /(^|\.)(embedding|positions)$/.test(moduleName);
}

/** Whether a module mixes tokens: the sums of its product go over positions, not channels. */
export function isMixing(moduleName: string): boolean {
  return /(^|\.)mix$/.test(moduleName);
}

/**
 * The modules that are asked for, in the order of the tree.
 *
 * @throws UserError naming the model's modules when one is not among them.
 */
export function pickModules(params: Tree, wanted: readonly string[] | "all"): string[] {
  const names = moduleNames(params);
  if (wanted === "all") return names;
  const unknown = wanted.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new UserError(
      `module ${unknown}: expected one of ${shortened(names).join(", ")}, found none of that name`,
    );
  }
  return names.filter((name) => wanted.includes(name));
}

/** Names that differ by a block's number alone as one, e.g. `blocks.{0…3}.mix`. */
function shortened(names: readonly string[]): string[] {
  const numbers = new Map<string, number[]>();
  for (const name of names) {
    const form = name.replace(BLOCK_NUMBER, "#");
    const number = BLOCK_NUMBER.exec(name)?.slice(0, 1) ?? [];
    numbers.set(form, [...numbers.get(form) ?? [], ...number.map(Number)]);
  }
  return [...numbers].map(([form, found]) =>
    form.replace("#", found.length > 1 ? `{${runsOf(found).join(", ")}}` : `${found[0]}`)
  );
}

const BLOCK_NUMBER = /(?<=\.)\d+(?=\.)/;

/** Ascending numbers as runs of successive ones: 0, 1, 2 and 5 as `0…2` and `5`. */
function runsOf(numbers: readonly number[]): string[] {
  const runs: number[][] = [];
  for (const number of numbers) {
    if (runs.at(-1)?.at(-1) === number - 1) runs.at(-1)!.push(number);
    else runs.push([number]);
  }
  return runs.map((run) => run.length > 1 ? `${run[0]}…${run.at(-1)}` : `${run[0]}`);
}

/**
 * The same parameters with hooks on some modules; for one forward pass, see above.
 *
 * @throws UserError as {@linkcode pickModules} does, and for an input hook of a table.
 */
export function attachHooks<T extends Tree>(params: T, hooks: Hooks): T {
  let tree: Tree = params;
  for (const name of pickModules(params, Object.keys(hooks))) {
    const { weight, ...activations } = hooks[name]!;
    if (activations.input !== undefined && isTable(name)) {
      throw new UserError(`module ${name}: expected no input hook, since it reads ids; use output`);
    }
    tree = replaceAt(tree, name.split("."), (layer) => ({
      ...layer,
      ...(weight && { weight: weight(layer["weight"] as Tensor) }),
      [HOOKS]: activations,
    }));
  }
  return tree as T;
}

function replaceAt(
  tree: Tree,
  [key, ...rest]: readonly string[],
  replace: (layer: Record<string, Tree>) => Tree,
): Tree {
  if (key === undefined) return replace(tree as Record<string, Tree>);
  const copy = (Array.isArray(tree) ? [...tree] : { ...tree }) as Record<string, Tree>;
  copy[key] = replaceAt(copy[key]!, rest, replace);
  return copy;
}
