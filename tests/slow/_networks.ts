/** Two network namespaces of this machine, each as a machine of its own, joined by a cable (veth). */

import assert from "node:assert/strict";

export type TwoNetworks = Readonly<{
  namespaces: readonly [string, string];
  hosts: readonly [string, string];
  /** Pulls the cable, or plugs it in again. */
  setLink: (state: "up" | "down") => Promise<void>;
}>;

async function ip(...words: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("ip", { args: words }).output();
  assert.ok(success, `ip ${words.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

/** Needs root and `ip` of iproute2. */
export async function withTwoNetworks(run: (networks: TwoNetworks) => Promise<void>) {
  const namespaces = [`kyl${Deno.pid}a`, `kyl${Deno.pid}b`] as const;
  const [first, second] = namespaces;
  const hosts = ["10.77.0.1", "10.77.0.2"] as const;
  const ends = [`ve${Deno.pid}a`, `ve${Deno.pid}b`] as const;
  for (const namespace of namespaces) await ip("netns", "add", namespace);
  try {
    const ofFirst = ["link", "add", ends[0], "netns", first, "type", "veth"];
    await ip(...ofFirst, "peer", "name", ends[1], "netns", second);
    for (const [i, namespace] of namespaces.entries()) {
      await ip("-n", namespace, "address", "add", `${hosts[i]}/24`, "dev", ends[i]!);
      await ip("-n", namespace, "link", "set", "lo", "up");
      await ip("-n", namespace, "link", "set", ends[i]!, "up");
    }
    await run({
      namespaces,
      hosts,
      setLink: (state) => ip("-n", first, "link", "set", ends[0], state),
    });
  } finally {
    for (const namespace of namespaces) await ip("netns", "delete", namespace);
  }
}
