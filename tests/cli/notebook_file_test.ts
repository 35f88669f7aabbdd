import assert from "node:assert/strict";
import {
  hashSources,
  joinCells,
  locateInCells,
  notebookLimits,
  outputProblems,
  parseNotebook,
  structureProblems,
} from "../../lib/cli/_notebook_file.ts";
import { UserError } from "../../lib/errors.ts";
import { type CellDraft, goodCells, notebookText, png } from "./_notebook.ts";

const parse = (cells: readonly CellDraft[], kernel?: string) =>
  parseNotebook(notebookText(cells, kernel), "notebooks/00_demo.ipynb");

function change(index: number, patch: Partial<CellDraft>): CellDraft[] {
  return goodCells().map((cell, at) => at === index ? { ...cell, ...patch } : cell);
}

Deno.test("structureProblems() and outputProblems() pass a notebook that keeps the rules", () => {
  const notebook = parse(goodCells());
  assert.equal(notebook.name, "00_demo");
  assert.deepEqual(structureProblems(notebook), []);
  assert.deepEqual(outputProblems(notebook), []);
});

Deno.test("parseNotebook() refuses what is no notebook", () => {
  assert.throws(() => parseNotebook("{", "a.ipynb"), UserError);
  assert.throws(() => parseNotebook('{"nbformat":3,"cells":[]}', "a.ipynb"), /format 4/);
});

Deno.test("structureProblems() names each broken rule", () => {
  const problems = (cells: CellDraft[], kernel?: string) =>
    structureProblems(parse(cells, kernel)).join("; ");
  const many = Array.from({ length: notebookLimits.codeCells }, (): CellDraft => ({
    type: "code",
    source: "1;",
  }));
  assert.match(problems([...goodCells(), ...many]), /17 code cells/);
  assert.match(problems(goodCells().slice(1)), /markdown/);
  assert.match(problems(change(1, { tags: [] })), /0 cells tagged "parameters"/);
  assert.match(problems(change(2, { tags: ["parameters"] })), /2 cells tagged "parameters"/);
  assert.match(problems(goodCells(), "python3"), /kernel python3, expected deno/);
  const [title, parameters, body] = goodCells() as [CellDraft, CellDraft, CellDraft];
  assert.match(problems([title, body, body, parameters]), /among the first 2/);
  assert.match(problems([title]), /no code cell/);
});

Deno.test("outputProblems() names each fault of the outputs", () => {
  const problems = (cells: CellDraft[]) => outputProblems(parse(cells)).join("; ");
  assert.equal(problems(change(1, { count: null }).slice(0, 2)), "was not executed");
  assert.match(problems(change(2, { count: 3 })), /counts are 1, 3/);
  assert.match(problems(change(2, { count: null })), /counts are 1, –/);
  assert.match(problems(change(2, { outputs: [] })), /no outputs; .*no figure/);
  const error = { output_type: "error", ename: "Error", evalue: "boom\nmore", traceback: [] };
  assert.match(problems(change(2, { outputs: [png, error] })), /code cell 2 failed: Error: boom$/);
  const bare = {
    output_type: "display_data",
    data: { "application/vnd.plotly.v1+json": {} },
    metadata: {},
  };
  assert.match(problems(change(2, { outputs: [png, bare] })), /1 plotly figures have no PNG/);
  const heavy = { ...png, data: { "image/png": "A".repeat(notebookLimits.sizeBytes) } };
  assert.match(problems(change(2, { outputs: [heavy] })), /weighs 501 kB, at most 500 kB/);
});

Deno.test("joinCells() and locateInCells() lead from the module back to the cell", () => {
  const joined = joinCells(parse(goodCells()));
  assert.equal(
    joined.source,
    "const preset = 1;\nconst rows = [preset];\nrows.map((row) => row);\nexport {};\n",
  );
  assert.equal(
    locateInCells("error at file:///x/a.ts:3:6 and /x/a.ts:1:1, /y/a.ts:1:1", "/x/a.ts", joined),
    "error at code cell 2, line 2, column 6 and code cell 1, line 1, column 1, /y/a.ts:1:1",
  );
});

Deno.test("hashSources() follows the sources and nothing else", () => {
  const hash = hashSources(parse(goodCells()));
  assert.equal(hashSources(parse(change(2, { outputs: [], count: 9 }))), hash);
  assert.notEqual(hashSources(parse(change(2, { source: "other;" }))), hash);
  assert.notEqual(hashSources(parse(change(0, { source: "# Other" }))), hash);
});
