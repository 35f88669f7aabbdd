/** The line that a user gets when something cannot be done. */

import assert from "node:assert/strict";
import { UserError } from "../lib/errors.ts";

/** The message of a failing call, which must be a `UserError` of one line. */
export async function refusalOf(failing: Promise<unknown>): Promise<string> {
  const error = await failing.then(() => assert.fail("expected an error"), (error) => error);
  assert.ok(error instanceof UserError, String(error));
  assert.doesNotMatch(error.message, /\n/);
  return error.message;
}
