/** What a contestant says of itself. */

/** The most memory that this process has held, bytes; null where there is no /proc. */
export function peakBytes(): number | null {
  try {
    const [, kilobytes] = /^VmHWM:\s*(\d+)/m.exec(Deno.readTextFileSync("/proc/self/status"))!;
    return 1024 * Number(kilobytes);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
