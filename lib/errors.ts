/**
 * An error caused by input, not by a bug: its message is one line that says what was expected, what
 * was found and what to do. Command-line tasks print the line alone; notebooks show it as it is.
 */
export class UserError extends Error {
  override readonly name = "UserError";
}

/** Work that its caller's signal has stopped, and what goes on with it: no failure. */
export class StoppedError extends UserError {}
