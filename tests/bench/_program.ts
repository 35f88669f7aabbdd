/** What all programs of this folder share: what they are asked for and what they leave. */

import { runCommand } from "../../lib/cli/_args.ts";
import { INTERRUPTED } from "../../lib/cli/_process.ts";
import { formatElapsed } from "../../lib/cli/_progress.ts";
import type { Compiler } from "../../lib/engine/mod.ts";
import type { BenchFacts } from "../../lib/experiments/mod.ts";
import { writeFileAtomically } from "../../lib/files.ts";
import {
  type Contestant,
  killContestants,
  ours,
  PACKAGES,
  type Peer,
  peer,
  PEERS,
} from "./_contestant.ts";

/** What `deno task bench` asks a program for, as JSON in its only argument. */
export type Request = Readonly<{
  /** Which cases; all if there are none. */
  words: readonly string[];
  peers: readonly Peer[];
  /** A Python that may have peers; null for none. */
  python: string | null;
  rounds: number;
  /** Counted steps in a turn; null for as many as fit the case. */
  steps: number | null;
  threads: number;
  /** The compiler of this library's training step; null for the one that it picks. */
  compiler: Compiler | null;
  /** The file with the machine's {@linkcode BenchFacts}; null only while these are found out. */
  facts: string | null;
  /** The file for what is measured, a JSON array of results. */
  part: string;
}>;

/** Runs a program's measurement, writes what it gives, and ends the process. */
export async function runProgram(
  measure: (request: Request) => Promise<unknown>,
): Promise<never> {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      killContestants();
      Deno.exit(INTERRUPTED);
    });
  }
  const request: Request = JSON.parse(Deno.args[0]!);
  return await runCommand(async () => {
    await writeFileAtomically(request.part, JSON.stringify(await measure(request)));
  }, []);
}

export function factsOf({ facts }: Request): BenchFacts {
  return JSON.parse(Deno.readTextFileSync(facts!)) as BenchFacts;
}

/** This library and the peers that are asked for and installed, in the order of their turns. */
export function contestantsOf(
  { python, peers, compiler }: Request,
  facts: BenchFacts,
  among: readonly Peer[] = PEERS,
): readonly Contestant[] {
  const present = among.filter((one) =>
    peers.includes(one) && facts.machine.peers[PACKAGES[one]] !== undefined
  );
  const us = compiler === null ? ours() : ours({ name: `ours, ${compiler}`, compiler });
  return [us, ...present.map((one) => peer(one, python!))];
}

/** Tells what is being measured, and for how much longer, by the work that is done of all. */
export function startEstimate(totalWork: number): (text: string, workDone: number) => void {
  const start = performance.now();
  return (text, workDone) => {
    const spent = performance.now() - start;
    const left = workDone > 0
      ? `, about ${formatElapsed(spent * (totalWork - workDone) / workDone)} left`
      : "";
    console.log(`   ${text}${left}`);
  };
}
