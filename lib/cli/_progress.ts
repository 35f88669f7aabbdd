/** Progress on a terminal: one line a step, with the time it took. */

/** `7 s`, `3 min 05 s`, `1 h 02 min`. */
export function formatElapsed(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  const pad = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${pad(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
}

export interface ProgressLine {
  /** What is being done right now; shown live on a terminal, now and then elsewhere. */
  update(detail: string): void;
  /** Ends the line. */
  done(result: string): void;
}

const heartbeatMilliseconds = 30_000;

/**
 * Shows that a long step is alive. On a terminal the line is rewritten in place; in a log there is
 * a line at the start, one every 30 s and one at the end.
 */
export function startProgress(title: string): ProgressLine {
  const live = Deno.stdout.isTerminal();
  const start = performance.now();
  let detail = "";
  const line = () => {
    const tail = detail === "" ? "" : `  ${detail}`;
    return `${title}  ${formatElapsed(performance.now() - start)}${tail}`;
  };
  const draw = () => {
    if (live) writeNow(`\r\x1b[K${clip(line())}`);
    else console.log(line());
  };
  if (live) draw();
  else console.log(`${title} …`);
  const timer = setInterval(draw, live ? 500 : heartbeatMilliseconds);
  return {
    update: (next) => {
      detail = next;
    },
    done: (result) => {
      clearInterval(timer);
      const text = `${title}  ${result}  (${formatElapsed(performance.now() - start)})`;
      if (live) writeNow(`\r\x1b[K${text}\n`);
      else console.log(text);
    },
  };
}

function clip(text: string): string {
  const { columns } = Deno.consoleSize();
  return text.length < columns ? text : `${text.slice(0, columns - 2)}…`;
}

function writeNow(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}
