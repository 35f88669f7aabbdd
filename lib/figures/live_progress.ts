import { UserError } from "../errors.ts";
import { escapeHtml } from "./display.ts";
import type { ProgressSink, ProgressState } from "./progress.ts";
import { formatProgress, terminalProgress } from "./terminal_progress.ts";

/** A running progress display. */
export interface LiveProgress {
  /** Shows a state, at most twice a second; the others are dropped, except the last. Await it. */
  update(state: ProgressState): Promise<void>;
  /** Shows the last state given, wherever the run ended. More calls do nothing. */
  finish(): Promise<void>;
}

/** The one function of `Deno.jupyter` that progress needs. */
export type Broadcast = (messageType: string, content: Record<string, unknown>) => Promise<void>;

export interface LiveProgressOptions {
  /** Which run this is. Default "training". */
  readonly label?: string;
  /** Where states go; default: a notebook display in the kernel, else standard error. */
  readonly sink?: ProgressSink;
  /** Milliseconds of a steady clock. */
  readonly now?: () => number;
}

const minIntervalMs = 500;
const curveWidth = 420;
const curveHeight = 110;
const maxCurvePoints = 200;

/** Loss against step as inline SVG; the y range leaves out the first tenth, which dwarfs the rest. */
function curveSvg(curve: NonNullable<ProgressState["curve"]>, steps: number): string {
  const finite = curve.filter(({ y }) => Number.isFinite(y));
  if (finite.length < 2) return "";
  const late = finite.slice(Math.floor(finite.length / 10)).map(({ y }) => y);
  const [low, high] = [Math.min(...late), Math.max(...late)];
  const stride = Math.ceil(finite.length / maxCurvePoints);
  const points = finite.filter((_, index) => index % stride === 0 || index === finite.length - 1)
    .map(({ x, y }) => {
      const left = 44 + (curveWidth - 48) * x / Math.max(1, steps);
      const share = Math.min(1, Math.max(0, (y - low) / (high - low || 1)));
      return `${left.toFixed(1)},${(8 + (curveHeight - 16) * (1 - share)).toFixed(1)}`;
    }).join(" ");
  const label = (y: number, text: string) =>
    `<text x="38" y="${y}" font-size="11" text-anchor="end" fill="#5F6368">${text}</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${curveWidth}" height="${curveHeight}" role="img" aria-label="loss curve">` +
    `<path d="M44 4V${curveHeight - 4}H${curveWidth}" fill="none" stroke="#DADCE0"/>` +
    label(14, high.toFixed(2)) + label(curveHeight - 6, low.toFixed(2)) +
    `<polyline points="${points}" fill="none" stroke="#D55E00" stroke-width="1.8"/></svg>`;
}

/** The HTML of a state: a line of text, a bar and the loss curve, if there is one. */
export function progressHtml(label: string, state: ProgressState): string {
  const percent = (100 * Math.min(1, state.step / state.steps)).toFixed(1);
  return `<div style="font-family:sans-serif;font-size:13px;background-color:#FFFFFF;color:#222222;padding:6px;width:${curveWidth}px;">` +
    `<div>${escapeHtml(formatProgress(label, state))}</div>` +
    `<div style="height:6px;margin:6px 0;background-color:#E3E5E8;"><div style="height:6px;width:${percent}%;background-color:#0072B2;"></div></div>` +
    `${curveSvg(state.curve ?? [], state.steps)}</div>`;
}

/** A notebook output that is replaced by every state, so that only the last is stored. */
export function notebookProgress(label: string, broadcast: Broadcast): ProgressSink {
  const displayId = crypto.randomUUID();
  let shown = false;
  return {
    async show(state) {
      const messageType = shown ? "update_display_data" : "display_data";
      shown = true;
      await broadcast(messageType, {
        data: {
          "text/html": progressHtml(label, state),
          "text/plain": formatProgress(label, state),
        },
        metadata: {},
        transient: { display_id: displayId },
      });
    },
  };
}

function kernelBroadcast(): Broadcast | null {
  try {
    return Deno.jupyter.broadcast;
  } catch {
    return null; // Outside the kernel `Deno.jupyter` throws.
  }
}

function defaultSink(label: string): ProgressSink {
  const broadcast = kernelBroadcast();
  if (broadcast) return notebookProgress(label, broadcast);
  const encoder = new TextEncoder();
  return terminalProgress({
    label,
    isTerminal: Deno.stderr.isTerminal(),
    write: (text) => void Deno.stderr.writeSync(encoder.encode(text)),
  });
}

/** Progress of a run: one live display in a notebook, one line in a terminal, a few lines in a log. */
export function liveProgress(options: LiveProgressOptions = {}): LiveProgress {
  const { label = "training", now = () => performance.now() } = options;
  const sink = options.sink ?? defaultSink(label);
  let lastShownMs = -Infinity;
  let pending: ProgressState | null = null;
  let finished = false;
  const finish = async () => {
    if (finished || pending === null) return;
    finished = true;
    await sink.show(pending, true);
  };
  return {
    async update(state) {
      if (!(state.steps > 0)) {
        throw new UserError(`progress: expected a positive number of steps, found ${state.steps}`);
      }
      if (finished) return;
      pending = state;
      if (state.step >= state.steps) return await finish();
      if (now() - lastShownMs < minIntervalMs) return;
      lastShownMs = now();
      await sink.show(state, false);
    },
    finish,
  };
}
