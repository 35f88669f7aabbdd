import assert from "node:assert/strict";
import { join } from "node:path";
import {
  chooseTensorflow,
  denoVersionWarning,
  findPython,
  missingNodePackages,
  pinnedDenoVersion,
  removeHalfInstalled,
  venvAdvice,
} from "../../lib/cli/environment.ts";
import { kernelExecutable, kernelIsCurrent } from "../../lib/cli/_jupyter.ts";
import { projectAt } from "../../lib/cli/_project.ts";

function withFolder(body: (root: string) => Promise<void> | void): () => Promise<void> {
  return async () => {
    const root = Deno.makeTempDirSync();
    try {
      await body(root);
    } finally {
      Deno.removeSync(root, { recursive: true });
    }
  };
}

function write(path: string, text: string, mode = 0o644): void {
  Deno.mkdirSync(join(path, ".."), { recursive: true });
  Deno.writeTextFileSync(path, text, { mode });
}

Deno.test("denoVersionWarning() warns of kernels that lose outputs", () => {
  assert.equal(denoVersionWarning(pinnedDenoVersion), undefined);
  for (const later of ["2.8.2", "2.9.0", "3.0.0"]) {
    assert.match(denoVersionWarning(later) ?? "", /loses or misplaces outputs/, later);
  }
  for (const earlier of ["2.8.0", "2.7.14", "1.46.3"]) {
    assert.match(denoVersionWarning(earlier) ?? "", /was not tried/, earlier);
  }
});

Deno.test("chooseTensorflow() picks the wheel that fits the machine", async () => {
  const choose = async (os: string, arch: string, gpu: boolean) =>
    (await chooseTensorflow({ os, arch }, () => Promise.resolve(gpu))).requirement;
  assert.equal(await choose("linux", "x86_64", false), "tensorflow-cpu==2.21.0");
  assert.equal(await choose("linux", "x86_64", true), "tensorflow[and-cuda]==2.21.0");
  assert.equal(await choose("linux", "aarch64", false), "tensorflow==2.21.0");
  assert.equal(await choose("darwin", "aarch64", true), "tensorflow==2.21.0");
  assert.equal(await choose("darwin", "x86_64", false), null);
  assert.equal(await choose("windows", "x86_64", false), null);
});

Deno.test({
  name: "findPython() skips what is missing, broken or too old, and says what to install",
  ignore: Deno.build.os === "windows",
  fn: withFolder(async (root) => {
    const fake = (name: string, body: string) => {
      write(join(root, name), `#!/bin/sh\n${body}\n`, 0o755);
      return join(root, name);
    };
    const broken = fake("broken", "exit 127");
    const old = fake("old", "echo /usr/bin/old; echo 3.9.18");
    const good = fake("good", "echo /usr/bin/real; echo 3.10.2");
    assert.deepEqual(await findPython([join(root, "none"), broken, old, good]), {
      path: "/usr/bin/real",
      version: "3.10.2",
    });
    await assert.rejects(findPython([broken, old]), /Python 3\.10 .*old is 3\.9\.18.*apt install/);
    await assert.rejects(findPython([broken]), /none was found/);
  }),
});

Deno.test(
  "missingNodePackages() names packages that are absent or of another version",
  withFolder((root) => {
    const imports = { a: "npm:@x/a@1.0.0", b: "npm:b@2.0.0/part", c: "npm:c@3.0.0" };
    write(join(root, "deno.json"), JSON.stringify({ imports: { ...imports, d: "node:fs" } }));
    write(join(root, "node_modules/@x/a/package.json"), '{"version":"1.0.0"}');
    write(join(root, "node_modules/c/package.json"), '{"version":"3.0.1"}');
    assert.deepEqual(missingNodePackages(projectAt(root)), ["b@2.0.0", "c@3.0.0"]);
  }),
);

Deno.test(
  "kernelIsCurrent() sees a kernelspec that is missing, cut short or stale",
  withFolder((root) => {
    const project = projectAt(root);
    const spec = join(project.venv, "share/jupyter/kernels/deno/kernel.json");
    assert.equal(kernelIsCurrent(project, Deno.execPath()), false);
    write(spec, '{"argv": ["/de');
    assert.equal(kernelExecutable(project), undefined);
    write(spec, JSON.stringify({ argv: ["/gone/deno", "jupyter"] }));
    assert.equal(kernelExecutable(project), "/gone/deno");
    assert.equal(kernelIsCurrent(project, "/gone/deno"), false);
    assert.equal(kernelIsCurrent(project, Deno.execPath()), false);
    write(spec, JSON.stringify({ argv: [Deno.execPath(), "jupyter"] }));
    assert.equal(kernelIsCurrent(project, Deno.execPath()), true);
  }),
);

Deno.test("venvAdvice() names the Debian package that is missing", () => {
  const python = { path: "/usr/bin/python3", version: "3.12.3" };
  const debian = "The virtual environment was not created because ensurepip is not available.";
  assert.match(venvAdvice(python, debian), /apt install python3\.12-venv/);
  assert.match(venvAdvice(python, "disk on fire"), /disk on fire/);
});

Deno.test({
  name: "removeHalfInstalled() removes records that an interruption cut short, and no others",
  ignore: Deno.build.os === "windows",
  fn: withFolder((root) => {
    const project = projectAt(root);
    const packages = join(project.venv, "lib", "python3.11", "site-packages");
    write(join(packages, "whole-1.0.dist-info", "INSTALLER"), "pip");
    // pip unpacks the wheel's own RECORD before it has copied every file.
    write(join(packages, "half-1.0.dist-info", "RECORD"), "");
    write(join(packages, "half", "code.py"), "");
    removeHalfInstalled(project);
    assert.deepEqual([...Deno.readDirSync(packages)].map(({ name }) => name).toSorted(), [
      "half",
      "whole-1.0.dist-info",
    ]);
  }),
});
