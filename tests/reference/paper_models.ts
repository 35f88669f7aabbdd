/**
 * Writes the configurations of lib/models/paper_models.ts as tests/golden/models/paper_models.json,
 * `{ name: configuration }`, one a line, for tests/reference/models_golden.py, which counts their
 * parameters in PyTorch. Run after a change of them, then that script:
 *
 *     deno run --allow-read --allow-env --allow-sys --allow-write=tests/golden/models \
 *       tests/reference/paper_models.ts
 */

import { PAPER_MODELS } from "../../lib/models/mod.ts";

const lines = Object.entries(PAPER_MODELS).map(([name, { config }]) =>
  ` ${JSON.stringify(name)}: ${JSON.stringify(config)}`
);
const file = new URL("../golden/models/paper_models.json", import.meta.url);
await Deno.writeTextFile(file, `{\n${lines.join(",\n")}\n}\n`);
console.log(`${file.pathname}: ${lines.length} configurations`);
