/** What a progress display is given and where it shows it. */

/** Where a run stands. */
export interface ProgressState {
  /** What is running just now, e.g. one of several runs. */
  readonly detail?: string;
  /** What is counted; default `step`. */
  readonly unit?: string;
  readonly step: number;
  readonly steps: number;
  /** Of training. */
  readonly lossNats?: number;
  readonly tokensPerSecond?: number;
  readonly etaSeconds: number;
  /** Loss (y, nats) by step (x) so far, of training. */
  readonly curve?: readonly { readonly x: number; readonly y: number }[];
}

/** Shows states; `final` is the last one, which stays. */
export interface ProgressSink {
  show(state: ProgressState, final: boolean): void | Promise<void>;
}
