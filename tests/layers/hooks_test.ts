import assert from "node:assert/strict";
import {
  add,
  mapTree,
  memory,
  mul,
  namedLeaves,
  type Tensor,
  tensor,
  type Tree,
} from "../../lib/engine/mod.ts";
import {
  attachHooks,
  causalMask,
  hookedInput,
  hookedOutput,
  initMaskedMixing,
  initMultiHeadMixing,
  isMixing,
  isTable,
  linear,
  maskedMixing,
  moduleNames,
  multiHeadMixing,
  pickModules,
} from "../../lib/layers/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";
import { refusal } from "../models/_tiny.ts";

const once = { oncePerBackend: true };
const cpu = { only: ["cpu"] };

/** A layer of so many axes, whose numbers are all 0. */
function layer(rank: number, biasRank = 1) {
  const zeros = (rank: number) => {
    const shape = Array.from({ length: rank }, () => 2);
    return tensor(new Float32Array(2 ** rank), shape);
  };
  return { weight: zeros(rank), bias: zeros(biasRank) };
}

/** A tree with all that a model's may hold. */
function exampleTree() {
  return {
    encoder: {
      embedding: { weight: layer(2).weight },
      blocks: [0, 1].map(() => ({
        norm1: layer(1),
        mix: { input: layer(2), ...layer(3, 2), output: layer(2) },
      })),
      finalNorm: { weight: layer(1).weight },
    },
    down: layer(2),
  };
}

const EXAMPLE_NAMES = [
  "encoder.embedding",
  "encoder.blocks.0.mix.input",
  "encoder.blocks.0.mix",
  "encoder.blocks.0.mix.output",
  "encoder.blocks.1.mix.input",
  "encoder.blocks.1.mix",
  "encoder.blocks.1.mix.output",
  "down",
];

onEveryBackend("moduleNames() are what has a weight of two axes or more", () => {
  assert.deepEqual(moduleNames(exampleTree()), EXAMPLE_NAMES);
  // A tree is no module of its own: it has no name.
  assert.deepEqual(moduleNames(layer(2)), []);
  assert.deepEqual(moduleNames({ weights: { overweight: layer(2).weight } }), []);
}, cpu);

Deno.test("isTable() of tables of embeddings, wherever they stand", () => {
  for (const name of ["embedding", "encoder.embedding", "positions", "decoder.positions"]) {
    assert.equal(isTable(name), true, name);
  }
  for (const name of ["down", "head", "unembedding", "embedding.down", "encoder.blocks.0.mix"]) {
    assert.equal(isTable(name), false, name);
  }
});

Deno.test("isMixing() of mixings of tokens, and not of the layers beside their heads", () => {
  for (const name of ["mix", "blocks.0.mix", "encoder.blocks.11.mix"]) {
    assert.equal(isMixing(name), true, name);
  }
  for (const name of ["blocks.0.mix.input", "blocks.0.mix.output", "remix", "head"]) {
    assert.equal(isMixing(name), false, name);
  }
});

onEveryBackend("pickModules() gives names in the tree's order, each once", () => {
  const tree = exampleTree();
  assert.deepEqual(pickModules(tree, "all"), EXAMPLE_NAMES);
  const wanted = ["down", "encoder.blocks.1.mix", "encoder.embedding", "down"];
  assert.deepEqual(
    pickModules(tree, wanted),
    ["encoder.embedding", "encoder.blocks.1.mix", "down"],
  );
  assert.deepEqual(pickModules(tree, []), []);
}, cpu);

onEveryBackend("pickModules() lists what there is instead of an unknown module", () => {
  const messageOf = (tree: Tree, name: string) => refusal(() => pickModules(tree, ["down", name]));
  assert.equal(
    messageOf(exampleTree(), "encoder.blocks.2.mix"),
    "module encoder.blocks.2.mix: expected one of encoder.embedding, " +
      "encoder.blocks.{0…1}.mix.input, encoder.blocks.{0…1}.mix, encoder.blocks.{0…1}.mix.output, " +
      "down, found none of that name",
  );
  // Norms and parts of modules are none.
  for (const name of ["encoder.blocks.0.norm1", "encoder.finalNorm", "down.weight", "all", ""]) {
    assert.match(
      messageOf(exampleTree(), name),
      new RegExp(`^module ${name}: expected one of enc`),
    );
  }

  /** Blocks of which some have a layer. */
  const blocks = (count: number, those: readonly number[]) => ({
    down: layer(2),
    blocks: Array.from(
      { length: count },
      (_, i) => ({ norm: layer(1), ...(those.includes(i) && { wide: layer(2) }) }),
    ),
  });
  for (
    const [count, those, listed] of [
      [1, [0], "blocks.0.wide"],
      [6, [4], "blocks.4.wide"],
      [2, [0, 1], "blocks.{0…1}.wide"],
      [12, [...Array(12).keys()], "blocks.{0…11}.wide"],
      [6, [0, 2], "blocks.{0, 2}.wide"],
      [6, [1, 2, 3, 5], "blocks.{1…3, 5}.wide"],
      [12, [0, 2, 3, 9, 10, 11], "blocks.{0, 2…3, 9…11}.wide"],
    ] as const
  ) {
    assert.equal(
      messageOf(blocks(count, those), "up"),
      `module up: expected one of down, ${listed}, found none of that name`,
    );
  }
}, cpu);

/** x [2, 2, 3] through a layer [3, 2] with hooks. */
function hookedLinear() {
  const values = { x: normals(12, 1), weight: normals(6, 2), bias: normals(2, 3) };
  const params = { layer: { weight: tensor(values.weight, [3, 2]), bias: tensor(values.bias) } };
  const x = tensor(values.x, [2, 2, 3]);
  /** `f(x) g(W) + b`, row by row. */
  const expected = (f: (one: number) => number, g: (one: number) => number) =>
    Array.from({ length: 8 }, (_, at) => {
      const [row, column] = [Math.floor(at / 2), at % 2];
      return [0, 1, 2].reduce(
        (sum, i) => sum + f(values.x[3 * row + i]!) * g(values.weight[2 * i + column]!),
        values.bias[column]!,
      );
    });
  return { params, x, expected };
}

onEveryBackend(
  "attachHooks() put a function in front of a layer, behind it, on its weight",
  async () => {
    const { params, x, expected } = hookedLinear();
    const same = (one: number) => one;
    const shapes: Record<string, readonly number[]> = {};
    const doubled = (site: string) => (seen: Tensor) => {
      shapes[site] = seen.shape;
      return mul(seen, 2);
    };
    const through = async (site: "input" | "weight" | "output") => {
      const hooked = attachHooks(params, { layer: { [site]: doubled(site) } });
      const y = linear(hooked.layer, x);
      assert.deepEqual(y.shape, [2, 2, 2]);
      return await read(y);
    };
    const twice = (one: number) => 2 * one;
    assertClose(await through("input"), expected(twice, same), 1e-6, "input");
    assertClose(await through("weight"), expected(same, twice), 1e-6, "weight, not bias");
    assertClose(await through("output"), expected(same, same).map(twice), 1e-6, "output");
    assert.deepEqual(shapes, { input: [2, 2, 3], weight: [3, 2], output: [2, 2, 2] });

    const all = attachHooks(params, {
      layer: { input: doubled("input"), weight: doubled("weight"), output: doubled("output") },
    });
    const together = expected(twice, twice).map(twice);
    assertClose(await read(linear(all.layer, x)), together, 1e-6, "all three");
  },
  once,
);

onEveryBackend("attachHooks() leave the parameters as they are, and share all else", () => {
  const tree = exampleTree();
  const before = namedLeaves(tree);
  const tensors = memory().numTensors;
  const weight = (x: Tensor) => add(x, 1);
  const hooked = attachHooks(tree, {
    "encoder.blocks.1.mix": { weight, output: weight },
    "encoder.blocks.1.mix.input": { weight, input: weight },
    down: { output: weight },
  });
  assert.equal(memory().numTensors, tensors + 2, "new weights alone");
  // The same tensors in the same places, and no trace of a hook.
  assert.equal(namedLeaves(tree).length, before.length);
  for (const [index, { name, tensor }] of namedLeaves(tree).entries()) {
    assert.equal(name, before[index]!.name);
    assert.equal(tensor, before[index]!.tensor);
    assert.ok(tensor.dataSync().every((one) => one === 0), name);
  }
  for (const part of [tree, tree.down, tree.encoder.blocks[1]!.mix.input]) {
    assert.deepEqual(Object.getOwnPropertySymbols(part), []);
  }
  const changed = namedLeaves(hooked).flatMap(({ name, tensor }, index) =>
    tensor === before[index]!.tensor ? [] : [name]
  );
  assert.deepEqual(namedLeaves(hooked).map(({ name }) => name), before.map(({ name }) => name));
  assert.deepEqual(changed, [
    "encoder.blocks.1.mix.input.weight",
    "encoder.blocks.1.mix.weight",
  ]);
  assert.equal(hooked.encoder.embedding, tree.encoder.embedding);
  assert.equal(hooked.encoder.blocks[0], tree.encoder.blocks[0]);
  assert.equal(attachHooks(tree, {}), tree);
}, cpu);

onEveryBackend("attachHooks() of a module keep those of the modules within it", async () => {
  const [T, D, H] = [3, 4, 2];
  const sizes = { width: D, headCount: H, kernelSize: 1 };
  const params = { mix: initMultiHeadMixing(createRandom(1), T, sizes) };
  const x = tensor(normals(T * D, 5), [T, 1, D]);
  const counts: Record<string, number> = {};
  const counted = (name: string) => ({
    output: (y: Tensor) => {
      counts[name] = (counts[name] ?? 0) + 1;
      return mul(y, 1);
    },
  });
  const names = ["mix.output", "mix", "mix.input"];
  const hooked = attachHooks(
    params,
    Object.fromEntries(names.map((name) => [name, counted(name)])),
  );
  const [plain, found] = [params, hooked].map(({ mix }) => multiHeadMixing(mix, causalMask(T), x));
  assert.deepEqual(await read(found!), await read(plain!));
  assert.deepEqual(counts, { "mix.input": 1, mix: 1, "mix.output": 1 });
}, cpu);

onEveryBackend("attachHooks() refuse unknown modules, and inputs of tables", () => {
  const hook = (x: Tensor) => x;
  const tree = exampleTree();
  assert.match(
    refusal(() => attachHooks(tree, { "encoder.blocks.7.mix": { output: hook } })),
    /^module encoder\.blocks\.7\.mix: expected one of encoder\.embedding, .* of that name$/,
  );
  assert.equal(
    refusal(() => attachHooks(tree, { "encoder.embedding": { input: hook } })),
    "module encoder.embedding: expected no input hook, since it reads ids; use output",
  );
  attachHooks(tree, { "encoder.embedding": { weight: hook, output: hook } });
}, cpu);

onEveryBackend(
  "hooks are of the tree that they were attached to, and not of its copies",
  async () => {
    const { params, x, expected } = hookedLinear();
    const hooked = attachHooks(params, { layer: { output: (y) => mul(y, 2) } });
    const copy = mapTree(hooked, (leaf) => leaf.clone());
    const plain = expected((one) => one, (one) => one);
    for (const { layer } of [params, copy]) {
      assertClose(await read(linear(layer, x)), plain, 1e-6, "without hooks");
    }
    assert.equal(hookedInput(params.layer, x), x);
    assert.equal(hookedOutput(params.layer, x), x);
  },
  cpu,
);

onEveryBackend("maskedMixing() hooks see all positions and channels, biases included", async () => {
  const [T, B, D, kernelSize] = [3, 2, 4, 2];
  const params = { mix: initMaskedMixing(createRandom(1), T, kernelSize) };
  const [x, other] = [5, 6].map((seed) => tensor(normals(T * B * D, seed), [T, B, D]));
  const mixed = (layer: typeof params.mix, x: Tensor) => maskedMixing(layer, causalMask(T), x);
  const input = attachHooks(params, {
    mix: {
      input: (seen) => {
        assert.equal(seen, x);
        return other!;
      },
    },
  });
  assert.deepEqual(await read(mixed(input.mix, x!)), await read(mixed(params.mix, other!)));

  const plain = await read(mixed(params.mix, x!));
  let seen: Tensor | undefined;
  const output = attachHooks(params, { mix: { output: (y) => (seen = y, add(y, other!)) } });
  const found = await read(mixed(output.mix, x!));
  assert.deepEqual(seen!.shape, [T, B, D]);
  assert.deepEqual(await read(seen!), plain);
  const shift = await read(other!);
  assertClose(found, plain.map((one, i) => one + shift[i]!), 1e-6, "output");
}, once);

onEveryBackend("multiHeadMixing() hooks stand between its linear layers", async () => {
  const [T, B, D] = [3, 2, 4];
  const sizes = { width: D, headCount: 2, kernelSize: 2 };
  const params = { mix: initMultiHeadMixing(createRandom(1), T, sizes) };
  const x = tensor(normals(T * B * D, 5), [T, B, D]);
  const run = async (hooks: Parameters<typeof attachHooks>[1]) =>
    await read(multiHeadMixing(attachHooks(params, hooks).mix, causalMask(T), x));
  const seen: Tensor[] = [];
  const kept = (y: Tensor) => (seen.push(y), y);
  await run({
    "mix.input": { output: kept },
    mix: { input: kept, output: kept },
    "mix.output": { input: kept },
  });
  assert.equal(seen.length, 4);
  for (const one of seen) assert.deepEqual(one.shape, [T, B, D]);
  // What goes into the heads is what `input` gives, what they give is what `output` reads.
  const [projected, intoHeads, outOfHeads, joined] = await Promise.all(seen.map(read));
  assert.deepEqual(intoHeads, projected);
  assert.deepEqual(joined, outOfHeads);
  assert.notDeepEqual(outOfHeads, intoHeads);
  // A change has the same effect on either side.
  const change = (y: Tensor) => mul(y, 1.5);
  const plain = await run({});
  const before = await run({ mix: { input: change } });
  const after = await run({ mix: { output: change } });
  assert.deepEqual(before, await run({ "mix.input": { output: change } }));
  assert.deepEqual(after, await run({ "mix.output": { input: change } }));
  for (const found of [before, after]) assert.notDeepEqual(found, plain);
}, once);
