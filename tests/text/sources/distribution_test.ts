import assert from "node:assert/strict";
import { createRandom } from "../../../lib/random.ts";
import {
  drawnTable,
  entropyNats,
  indexSampler,
  mixture,
  normalized,
} from "../../../lib/text/sources/distribution.ts";
import { assertClose } from "../../_numbers.ts";

Deno.test("entropyNats() is ln of the choices where they are equal, 0 where there is one", () => {
  assertClose([entropyNats([0.25, 0.25, 0.25, 0.25])], [Math.log(4)], 1e-15, "uniform");
  assert.equal(entropyNats([0, 1, 0]), 0);
});

Deno.test("normalized() and mixture() do as one does by hand", () => {
  assertClose(normalized([1, 3]), [0.25, 0.75], 1e-15, "normalized");
  const mixed = mixture(Float64Array.of(0.25, 0.75), [
    Float64Array.of(1, 0),
    Float64Array.of(0.2, 0.8),
  ]);
  assertClose(mixed, [0.4, 0.6], 1e-15, "mixture");
});

Deno.test("indexSampler() draws as the shares say, and never what has none", () => {
  const shares = [0, 0.2, 0, 0.5, 0.3, 0];
  const sample = indexSampler(shares);
  const random = createRandom(4);
  const counts = shares.map(() => 0);
  const draws = 20_000;
  for (let i = 0; i < draws; i++) counts[sample(random)]!++;
  shares.forEach((share, index) => {
    const deviation = Math.sqrt(draws * share * (1 - share));
    assert.ok(Math.abs(counts[index]! - draws * share) <= 4 * deviation, `${index}: ${counts}`);
  });
  // The smallest number there is, and the largest.
  assert.equal(sample({ ...random, uniform: () => 0 }), 1);
  assert.equal(sample({ ...random, uniform: () => 1 - 2 ** -32 }), 4);
});

Deno.test("drawnTable() has Dirichlet rows: their mean and variance", () => {
  const rows = 6000, columns = 4;
  for (const concentration of [0.02, 0.3, 0.8, 1, 5]) {
    const table = drawnTable("test", [rows, columns], { concentration, tableSeed: 2 });
    assert.ok(table.every((row) => Math.abs(row.reduce((a, b) => a + b) - 1) < 1e-12));
    const mean = 1 / columns;
    // Of one share, which has a beta distribution.
    const variance = mean * (1 - mean) / (columns * concentration + 1);
    for (let column = 0; column < columns; column++) {
      const shares = table.map((row) => row[column]!);
      const found = shares.reduce((a, b) => a + b) / rows;
      const spread = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / rows;
      const error = Math.sqrt(variance / rows);
      assert.ok(Math.abs(found - mean) < 4 * error, `mean ${found} at ${concentration}`);
      assert.ok(Math.abs(spread / variance - 1) < 0.1, `variance ${spread}, not ${variance}`);
    }
  }
});

Deno.test("drawnTable() of concentration 1 has uniform shares of two", () => {
  const draws = 8000;
  const table = drawnTable("test", [draws, 2], { concentration: 1, tableSeed: 1 });
  for (let tenth = 1; tenth < 10; tenth++) {
    const below = table.filter(([share]) => share! < tenth / 10).length / draws;
    assert.ok(Math.abs(below - tenth / 10) < 0.02, `${below} below ${tenth / 10}`);
  }
});

Deno.test("drawnTable() is a function of seed and name", () => {
  const draw = (name: string, tableSeed: number) =>
    drawnTable(name, [2, 3], { concentration: 0.5, tableSeed });
  assert.deepEqual(draw("a", 1), draw("a", 1));
  assert.notDeepEqual(draw("a", 1), draw("a", 2));
  assert.notDeepEqual(draw("a", 1), draw("b", 1));
  assert.notDeepEqual(draw("a", 1)[0], draw("a", 1)[1]);
});
