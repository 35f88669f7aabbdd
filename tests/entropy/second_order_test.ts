import assert from "node:assert/strict";
import { tensor, transpose } from "../../lib/engine/mod.ts";
import { secondOrderEntropies } from "../../lib/entropy/second_order.ts";
import {
  type SecondOrderConfig,
  secondOrderEstimates,
  type SecondOrderModel,
  visibleTokens,
} from "../../lib/models/mod.ts";
import { UserError } from "../../lib/errors.ts";
import type { WindowIds } from "../../lib/text/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";
import { AUGMENTED, LENGTH, livelyModel, PAD, tinyIds, transformer } from "../models/_tiny.ts";

/** Three windows: without pads, with two, with all but one. */
const WINDOWS: WindowIds = {
  contextLength: LENGTH,
  count: 3,
  ids: Int32Array.of(...tinyIds(), ...tinyIds().subarray(0, LENGTH)).map((id, at) =>
    (at >= LENGTH && at < LENGTH + 2) || (at >= 2 * LENGTH && at < 3 * LENGTH - 1) ? PAD : id
  ),
};

for (const shift of [false, true]) {
  onEveryBackend(
    `secondOrderEntropies() are what a model with${shift ? "" : "out"} shift says of each token`,
    async () => {
      const config: SecondOrderConfig = {
        kind: "second-order",
        backbone: transformer(LENGTH),
        shift,
      };
      const params = livelyModel(config) as SecondOrderModel;
      const estimates = await secondOrderEntropies({ config, params, padId: PAD }, WINDOWS, {
        batchSize: 2,
      });
      const idsNB = transpose(tensor(WINDOWS.ids, [3, LENGTH], "int32"));
      const visibleBN = visibleTokens(idsNB, PAD);
      const all = await read(secondOrderEstimates(config, params, idsNB, visibleBN));
      // One row a token from 1, a column a window; null before and for the first behind pads.
      const firsts = [1, 3, LENGTH];
      assert.equal(estimates.length, 3);
      firsts.forEach((first, window) => {
        const row = estimates[window]!;
        assert.deepEqual(row.map((value) => value === null), row.map((_, t) => t < first));
        const expected = Array.from(
          { length: LENGTH - first },
          (_, at) => all[(first + at - 1) * 3 + window]!,
        );
        assertClose(row.slice(first) as number[], expected, 1e-6, `window ${window}`);
      });
    },
    { only: ["tensorflow graph", "wasm"] },
  );
}

onEveryBackend("secondOrderEntropies() refuse models that learned no numbers", async () => {
  const config = AUGMENTED["mixer EEM"];
  const model = { config, params: livelyModel(config), padId: null };
  await assert.rejects(
    secondOrderEntropies(model, WINDOWS),
    (error) =>
      error instanceof UserError &&
      error.message === "second-order: expected a model of kind second-order, found augmented; " +
          "others learned no number of every token",
  );
}, { only: ["cpu"] });
