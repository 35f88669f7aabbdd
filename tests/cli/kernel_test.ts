import assert from "node:assert/strict";
import { join } from "node:path";
import { exists } from "../../lib/cli/_files.ts";
import { jupyterEnvironment, kernelExecutable } from "../../lib/cli/_jupyter.ts";
import { codeCells, parseNotebook } from "../../lib/cli/_notebook_file.ts";
import { executeNotebook } from "../../lib/cli/_notebook_run.ts";
import { projectAt } from "../../lib/cli/_project.ts";
import { type CellDraft, notebookText } from "./_notebook.ts";

const project = projectAt();
const environment = {
  project,
  tensorflow: { requirement: null, reason: "" },
  variables: jupyterEnvironment(project),
};
const ignore = !exists(project.python) || kernelExecutable(project) === undefined;

async function execute(
  cells: readonly string[],
): Promise<{ result: Awaited<ReturnType<typeof executeNotebook>>; text: string | undefined }> {
  const folder = Deno.makeTempDirSync();
  try {
    const drafts = cells.map((source): CellDraft => ({ type: "code", source }));
    const [source, output] = [join(folder, "in.ipynb"), join(folder, "out.ipynb")];
    Deno.writeTextFileSync(source, notebookText(drafts));
    const settings = { preset: "small", fresh: true } as const;
    const result = await executeNotebook(environment, source, output, settings);
    return { result, text: exists(output) ? Deno.readTextFileSync(output) : undefined };
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test({
  // From Deno 2.8.2 on the kernel loses most of them: this must pass before the pin is raised.
  name: "executeNotebook() keeps the outputs of 60 displays, each in its cell",
  ignore,
  fn: async () => {
    const bundle = (index: number) =>
      `({ [Deno.jupyter.$display]: () => ({ "text/plain": "display ${index}" }) })`;
    const cells = Array.from(
      { length: 60 },
      (_, index) =>
        [`await ${bundle(index)}`, bundle(index), `await Deno.jupyter.display(${bundle(index)})`][
          index % 3
        ] ?? "",
    );
    const { result, text = "" } = await execute(cells);
    assert.equal(result.ok, true, result.failure);
    const shown = codeCells(parseNotebook(text, "out.ipynb")).map(({ cell }, index) => {
      const own = JSON.parse(text).cells[index].outputs as { data: Record<string, unknown> }[];
      assert.equal(cell.executionCount, index + 1);
      return own.map(({ data }) => String(data["text/plain"]));
    });
    assert.deepEqual(shown, cells.map((_, index) => [`display ${index}`]));
  },
});

Deno.test({
  name: "executeNotebook() hands over preset and freshness, and says which cell failed and why",
  ignore,
  fn: async () => {
    const { result, text } = await execute([
      'const asked = Deno.env.get("KYL_PRESET") + Deno.env.get("KYL_FRESH");',
      "throw new Error(`asked for ${asked}`);",
      "1;",
    ]);
    assert.equal(result.ok, false);
    assert.equal(text, undefined, "nothing is written");
    assert.match(result.failure, /code cell 2:/);
    assert.match(result.failure, /Error: asked for small1/);
    assert.ok(result.failure.split("\n").length <= 7, result.failure);
  },
});
