/** Reads all of a source and prints what came of it and the most memory that it took. */
import { UserError } from "../../lib/errors.ts";
import { openSource, parseSource } from "../../lib/text/mod.ts";

export type ReadReport = Readonly<{
  documents: number;
  characters: number;
  error: string | null;
  peakBytes: number;
}>;

/** The most memory the process had at once, as Linux counts it; elsewhere what it has now. */
async function peakBytes(): Promise<number> {
  if (Deno.build.os !== "linux") return Deno.memoryUsage().rss;
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(await Deno.readTextFile("/proc/self/status"))!;
  return Number(kilobytes) * 1024;
}

if (import.meta.main) {
  let documents = 0, characters = 0;
  let said: string | null = null;
  try {
    const source = await openSource(parseSource(Deno.args[0]!), { cacheFolder: "nowhere" });
    for (const part of source.parts) {
      for await (const { text } of source.read(part)) {
        documents++;
        characters += text.length;
      }
    }
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    said = error.message;
  }
  const report: ReadReport = { documents, characters, error: said, peakBytes: await peakBytes() };
  console.log(JSON.stringify(report));
}
