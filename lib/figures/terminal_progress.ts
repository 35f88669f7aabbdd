import type { ProgressSink, ProgressState } from "./progress.ts";

/** Where progress lines go. */
export interface TerminalOptions {
  readonly label: string;
  /** A terminal rewrites one line; anything else (a log file) gets a line every tenth. */
  readonly isTerminal: boolean;
  readonly write: (text: string) => void;
}

/** Seconds as "1 h 02 min", "3 min 20 s" or "12 s". */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [
    Math.floor(whole / 3600),
    Math.floor(whole / 60) % 60,
    whole % 60,
  ];
  const two = (value: number) => String(value).padStart(2, "0");
  if (hours > 0) return `${hours} h ${two(minutes)} min`;
  return minutes > 0 ? `${minutes} min ${two(rest)} s` : `${rest} s`;
}

/** One line: step, loss and speed of training, time left. */
export function formatProgress(label: string, state: ProgressState): string {
  const { detail, unit = "step", step, steps, lossNats, tokensPerSecond, etaSeconds } = state;
  return [
    detail === undefined ? label : `${label}, ${detail}`,
    `${unit} ${step}/${steps}`,
    ...(lossNats === undefined ? [] : [`loss ${lossNats.toFixed(3)} nats`]),
    ...(tokensPerSecond === undefined
      ? []
      : [`${Math.round(tokensPerSecond).toLocaleString("en-US")} tokens/s`]),
    step >= steps ? "done" : `${formatDuration(etaSeconds)} left`,
  ].join(" · ");
}

/** Progress as one line of a terminal, or as a few lines of a log. */
export function terminalProgress(options: TerminalOptions): ProgressSink {
  const { label, isTerminal, write } = options;
  let lastWidth = 0;
  let tenthsWritten = -1;
  return {
    show(state, final) {
      const line = formatProgress(label, state);
      if (isTerminal) {
        write(`\r${line.padEnd(lastWidth)}${final ? "\n" : ""}`);
        lastWidth = line.length;
        return;
      }
      const tenths = Math.floor(10 * state.step / state.steps);
      if (tenths > tenthsWritten || final) write(`${line}\n`);
      tenthsWritten = tenths;
    },
  };
}
