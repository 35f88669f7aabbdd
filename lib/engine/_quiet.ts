/** Keeps what native code writes to standard error off the terminal while it loads. */

/**
 * Runs `action` with file descriptor 2 sent to the null device. TensorFlow logs its CPU features
 * while it loads, before any of its log settings is read. Where the C library cannot be reached
 * the action runs as it is.
 */
export function withQuietStandardError<T>(action: () => T): T {
  const name = Deno.build.os === "darwin" ? "libSystem.dylib" : "libc.so.6";
  let library;
  try {
    library = Deno.dlopen(name, {
      dup: { parameters: ["i32"], result: "i32" },
      dup2: { parameters: ["i32", "i32"], result: "i32" },
      open: { parameters: ["buffer", "i32"], result: "i32" },
      close: { parameters: ["i32"], result: "i32" },
    });
  } catch {
    return action();
  }
  const { dup, dup2, open, close } = library.symbols;
  const WRITE_ONLY = 1;
  const saved = dup(2);
  const nowhere = open(new TextEncoder().encode("/dev/null\0"), WRITE_ONLY);
  dup2(nowhere, 2);
  try {
    return action();
  } finally {
    dup2(saved, 2);
    close(saved);
    close(nowhere);
    library.close();
  }
}
