/** Addresses for workers on this machine. */

/** `127.0.0.1` with ports that were free a moment ago. */
export function freeAddresses(count: number): string[] {
  const listeners = Array.from(
    { length: count },
    () => Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  );
  const addresses = listeners.map(({ addr }) => `127.0.0.1:${addr.port}`);
  for (const listener of listeners) listener.close();
  return addresses;
}
