import assert from "node:assert/strict";
import { join } from "node:path";
import { checkNotebooks, selectNotebooks } from "../../lib/cli/_notebook_check.ts";
import { type Project, projectAt } from "../../lib/cli/_project.ts";
import { type CellDraft, goodCells, notebookText } from "./_notebook.ts";

/** Runs the body in a small project of its own, with the real lint rules in it. */
async function withProject(
  notebooks: Readonly<Record<string, string>>,
  body: (project: Project) => Promise<void>,
): Promise<void> {
  const root = Deno.makeTempDirSync();
  const write = (path: string, text: string) => {
    Deno.mkdirSync(join(root, path, ".."), { recursive: true });
    Deno.writeTextFileSync(join(root, path), text);
  };
  try {
    write("deno.json", '{ "compilerOptions": { "strict": true }, "fmt": { "lineWidth": 100 } }\n');
    write("lib/value.ts", "export const value: number = 1;\n");
    for (const name of ["_notebook_lint.json", "_notebook_lint.ts"]) {
      write(
        `lib/cli/${name}`,
        Deno.readTextFileSync(new URL(`../../lib/cli/${name}`, import.meta.url)),
      );
    }
    for (const [name, text] of Object.entries(notebooks)) write(`notebooks/${name}.ipynb`, text);
    await body(projectAt(root));
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

async function format(project: Project): Promise<void> {
  await new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", "notebooks"],
    cwd: project.root,
  }).output();
}

function withBody(source: string): string {
  return notebookText(
    goodCells().map((cell, index): CellDraft => index === 2 ? { ...cell, source } : cell),
  );
}

async function problemsOf(text: string): Promise<Record<string, string>> {
  let found: Record<string, string> = {};
  await withProject({ "00_demo": text }, async (project) => {
    await format(project);
    const results = await checkNotebooks(project, ["00_demo"], { codeOnly: false }, () => {});
    found = Object.fromEntries(results.map(({ check, problems }) => [check, problems.join("\n")]));
    assert.throws(() => Deno.statSync(join(project.root, ".notebook_cells")), "leaves nothing");
  });
  return found;
}

Deno.test("checkNotebooks() passes a good notebook and reports every check", async () => {
  const body = 'import { value } from "../lib/value.ts";\nconsole.log(await value + preset);';
  assert.deepEqual(await problemsOf(withBody(body)), {
    structure: "",
    format: "",
    types: "",
    lint: "",
    outputs: "",
  });
});

Deno.test("checkNotebooks() finds a planted type error and says in which cell", async () => {
  const { types, lint } = await problemsOf(
    withBody('import { value } from "../lib/value.ts";\nvalue.trim(preset);'),
  );
  assert.match(types ?? "", /Property 'trim' does not exist/);
  assert.match(types ?? "", /code cell 2, line 2, column 7/);
  assert.equal(lint, "");
});

Deno.test("checkNotebooks() finds definitions but lets callbacks be", async () => {
  const source = "function f() {}\nclass A {}\nconst g = () => 1;\nconst h = function () {};\n" +
    "f(), new A(), g(), h();";
  const { lint: found = "" } = await problemsOf(withBody(source));
  assert.equal(found.match(/defines no functions or classes/g)?.length, 4);
  for (const line of [1, 2, 3, 4]) {
    assert.ok(found.includes(`code cell 2, line ${line}`), `line ${line}`);
  }
  const { lint } = await problemsOf(withBody("[preset].map((one) => one + 1);"));
  assert.equal(lint, "");
});

Deno.test("checkNotebooks() finds a notebook that is not formatted or not JSON", async () => {
  await withProject({ "00_a": withBody("preset  +  1"), "01_b": "{" }, async (project) => {
    const results = await checkNotebooks(project, ["00_a", "01_b"], { codeOnly: true }, () => {});
    const failed = results.filter(({ problems }) => problems.length > 0)
      .map(({ notebook, check }) => `${notebook} ${check}`);
    assert.deepEqual(failed, ["00_a format", "01_b structure"]);
  });
});

Deno.test("selectNotebooks() understands numbers, names and paths", async () => {
  const text = withBody("1;");
  await withProject({ "00_tour": text, "01_a": text, "01_b": text }, (project) => {
    assert.deepEqual(selectNotebooks(project, []), ["00_tour", "01_a", "01_b"]);
    assert.deepEqual(selectNotebooks(project, ["01_b", "00"]), ["00_tour", "01_b"]);
    assert.deepEqual(selectNotebooks(project, ["notebooks/01_a.ipynb"]), ["01_a"]);
    assert.throws(() => selectNotebooks(project, ["01"]), /more than one notebook fits "01"/);
    assert.throws(() => selectNotebooks(project, ["7"]), /no notebook fits "7".*00_tour/);
    return Promise.resolve();
  });
});
