/** A Slurm of one node in a temporary folder, from the programs of Debian's slurm-wlm and munge. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { freeAddresses } from "../../lib/cli/_local_workers.ts";

const PROGRAMS = ["/usr/sbin/munged", "/usr/sbin/slurmctld", "/usr/sbin/slurmd"];

/** Whether Slurm is installed and may be started: its daemons want to be root. */
export function hasSlurm(): boolean {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
  return PROGRAMS.every((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

/** The environment in which `srun`, `sbatch` and `squeue` find this Slurm. */
export type Slurm = Readonly<{ env: Readonly<Record<string, string>> }>;

export async function withSlurm(use: (slurm: Slurm) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "slurm-" });
  await Deno.chmod(folder, 0o755); // munge wants no folder that others may write
  const ports = freeAddresses(2).map((address) => address.split(":")[1]);
  const socket = join(folder, "munge.socket");
  const key = join(folder, "munge.key");
  await Deno.writeFile(key, crypto.getRandomValues(new Uint8Array(1024)), { mode: 0o400 });
  for (const name of ["state", "spool", "log"]) await Deno.mkdir(join(folder, name));
  const conf = join(folder, "slurm.conf");
  const settings = {
    ClusterName: "test",
    SlurmctldHost: `localhost(127.0.0.1)`,
    SlurmUser: "root",
    SlurmctldPort: ports[0],
    SlurmdPort: ports[1],
    AuthType: "auth/munge",
    CredType: "cred/munge",
    AuthInfo: `socket=${socket}`,
    ProctrackType: "proctrack/linuxproc",
    TaskPlugin: "task/none",
    MpiDefault: "none",
    SelectType: "select/cons_tres",
    SelectTypeParameters: "CR_CPU",
    ReturnToService: 2,
    StateSaveLocation: join(folder, "state"),
    SlurmdSpoolDir: join(folder, "spool"),
    SlurmctldPidFile: join(folder, "slurmctld.pid"),
    SlurmdPidFile: join(folder, "slurmd.pid"),
    SlurmctldLogFile: join(folder, "log", "slurmctld"),
    SlurmdLogFile: join(folder, "log", "slurmd"),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const cores = navigator.hardwareConcurrency;
  lines.push(
    `NodeName=localhost NodeHostname=${Deno.hostname()} NodeAddr=127.0.0.1 CPUs=${cores} State=UNKNOWN`,
    "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4",
  );
  await Deno.writeTextFile(conf, `${lines.join("\n")}\n`);
  const env = { SLURM_CONF: conf };
  const start = (program: string, ...args: string[]) =>
    new Deno.Command(program, { args, env, stdin: "null", stdout: "null", stderr: "null" }).spawn();
  const daemons: Deno.ChildProcess[] = [];
  try {
    daemons.push(start(
      ...["/usr/sbin/munged", "--foreground", "--force", `--socket=${socket}`] as const,
      ...[`--key-file=${key}`, `--log-file=${join(folder, "log", "munged")}`],
      ...[`--pid-file=${join(folder, "munged.pid")}`, `--seed-file=${join(folder, "seed")}`],
    ));
    daemons.push(start("/usr/sbin/slurmctld", "-D", "-f", conf));
    daemons.push(start("/usr/sbin/slurmd", "-D", "-N", "localhost", "-f", conf));
    await waitFor("an idle node", async () => {
      const { stdout } = await new Deno.Command("sinfo", { args: ["-h", "-o", "%t"], env })
        .output();
      return new TextDecoder().decode(stdout).trim() === "idle";
    });
    await use({ env });
  } catch (error) {
    for (const name of ["slurmctld", "slurmd", "munged"]) {
      const log = await Deno.readTextFile(join(folder, "log", name)).catch(() => "");
      console.error(`${name}: ${log.split("\n").slice(-8).join("\n")}`);
    }
    throw error;
  } finally {
    for (const daemon of daemons.reverse()) {
      daemon.kill("SIGTERM");
      await daemon.status;
    }
    await Deno.remove(folder, { recursive: true });
  }
}

/** Waits up to a minute. */
export async function waitFor(what: string, isThere: () => Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < 60_000; waited += 500) {
    if (await isThere()) return;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  assert.fail(`waited for ${what} in vain`);
}
