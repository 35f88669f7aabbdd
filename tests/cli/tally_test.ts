import assert from "node:assert/strict";
import { addTallies, formatTally, parseDenoSummary } from "../../lib/cli/_tally.ts";

Deno.test("parseDenoSummary() reads deno's own line, coloured or not", () => {
  const plain = "a test ... ok (1ms)\n\nok | 12 passed (3 steps) | 0 failed | 1 ignored (2s)\n";
  assert.deepEqual(parseDenoSummary(plain), { passed: 12, failed: 0, skipped: 1 });
  const red =
    "\x1b[0m\x1b[31mFAILED\x1b[0m | 3 passed | 2 failed | 4 filtered out \x1b[38m(2s)\x1b[0m";
  assert.deepEqual(parseDenoSummary(red), { passed: 3, failed: 2, skipped: 0 });
});

Deno.test("parseDenoSummary() takes the last summary and knows when there is none", () => {
  const nested = "ok | 1 passed | 0 failed (1s)\nFAILED | 5 passed | 1 failed (2s)";
  assert.deepEqual(parseDenoSummary(nested), { passed: 5, failed: 1, skipped: 0 });
  assert.equal(parseDenoSummary("error: Type checking failed."), undefined);
});

Deno.test("formatTally() counts what was added up", () => {
  const sum = addTallies({ passed: 1, failed: 2, skipped: 0 }, {
    passed: 3,
    failed: 0,
    skipped: 0,
  });
  assert.equal(formatTally(sum), "4 passed, 2 failed");
  assert.equal(formatTally({ ...sum, skipped: 5 }), "4 passed, 2 failed, 5 skipped");
});
