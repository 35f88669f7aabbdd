import assert from "node:assert/strict";
import { minMaxNormalize } from "../../lib/entropy/mod.ts";

Deno.test("minMaxNormalize() puts each window on its own scale of 0 to 1", () => {
  assert.deepEqual(
    minMaxNormalize([[null, 2, 4, 3], [null, null, -1, -5], [null, 7, 7, 7], [null, null]]),
    [[null, 0, 1, 0.5], [null, null, 1, 0], [null, 0, 0, 0], [null, null]],
  );
});
