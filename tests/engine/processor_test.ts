import assert from "node:assert/strict";
import { hasAvx512 } from "../../lib/engine/_processor.ts";

Deno.test({
  name: "hasAvx512() says what Linux says of the processor",
  ignore: Deno.build.os !== "linux",
  fn: () => {
    // Deno itself reads nothing in /proc without all permissions.
    const { code } = new Deno.Command("grep", { args: ["-qw", "avx512f", "/proc/cpuinfo"] })
      .outputSync();
    assert.equal(hasAvx512(), code === 0);
  },
});
