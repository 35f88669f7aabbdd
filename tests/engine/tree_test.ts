import assert from "node:assert/strict";
import {
  countElements,
  disposeTree,
  leavesOf,
  mapTree,
  memory,
  mul,
  namedLeaves,
  square,
  sum,
  tensor,
  valueAndGradient,
  withLeaves,
  zeros,
} from "../../lib/engine/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { read } from "../_numbers.ts";

const exampleTree = () => ({
  embedding: { weight: zeros([3, 2]) },
  blocks: [{ mix: { bias: zeros([4]) } }, { mix: { bias: zeros([5]) } }],
});

const cpu = { only: ["cpu"] };

onEveryBackend("namedLeaves() gives dot-joined paths in the order of the tree", () => {
  const names = ["embedding.weight", "blocks.0.mix.bias", "blocks.1.mix.bias"];
  const tree = exampleTree();
  assert.deepEqual(namedLeaves(tree).map((leaf) => leaf.name), names);
  assert.equal(namedLeaves(tree)[2]!.tensor, tree.blocks[1]!.mix.bias);
  assert.deepEqual(namedLeaves(tree, "m").map((leaf) => leaf.name), names.map((one) => `m.${one}`));
  assert.deepEqual(namedLeaves(tensor(1), "alone").map((leaf) => leaf.name), ["alone"]);
}, cpu);

onEveryBackend("mapTree() keeps the form and passes the names", () => {
  const names: string[] = [];
  const copy = mapTree(exampleTree(), (leaf, name) => {
    names.push(name);
    return zeros([leaf.size, 1]);
  });
  assert.deepEqual(names, ["embedding.weight", "blocks.0.mix.bias", "blocks.1.mix.bias"]);
  assert.ok(Array.isArray(copy.blocks));
  assert.deepEqual(copy.blocks[1]!.mix.bias.shape, [5, 1]);
}, cpu);

onEveryBackend("withLeaves() puts leaves in the order of leavesOf()", () => {
  const tree = exampleTree();
  const leaves = [tensor(1), tensor(2), tensor(3)];
  assert.deepEqual(leavesOf(withLeaves(tree, leaves)), leaves);
  assert.throws(() => withLeaves(tree, [...leaves, tensor(4)]), /expected 3 tensors.*found 4/);
}, cpu);

onEveryBackend("withLeaves() refuses too few leaves", () => {
  assert.throws(
    () => withLeaves(exampleTree(), [tensor(1), tensor(2)]),
    /expected 3 tensors.*found 2/,
  );
}, cpu);

onEveryBackend("countElements() and disposeTree() reach every tensor", () => {
  const before = memory().numTensors;
  const tree = exampleTree();
  assert.equal(countElements(tree), 15);
  assert.equal(memory().numTensors, before + 3);
  disposeTree(tree);
  assert.equal(memory().numTensors, before);
}, cpu);

onEveryBackend("valueAndGradient() gives a gradient of the tree's form", async () => {
  const tree = { a: tensor([1, 2]), list: [tensor([3])] };
  const { value, gradient } = valueAndGradient(
    ({ a, list }) => sum(mul(square(a), list[0]!)),
    tree,
  );
  assert.deepEqual([...await read(value)], [15]);
  assert.deepEqual([...await read(gradient.a)], [6, 12]);
  assert.deepEqual([...await read(gradient.list[0]!)], [5]);
}, { oncePerBackend: true });

onEveryBackend("valueAndGradient() names the tensors that do not matter", () => {
  const tree = { used: tensor([1]), spare: [tensor([1]), tensor([2])] };
  assert.throws(
    () => valueAndGradient(({ used }) => sum(square(used)), tree),
    /does not depend on spare\.0, spare\.1; leave them out of the tree/,
  );
}, cpu);
