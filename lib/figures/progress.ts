/** What a progress display is given and where it shows it. */

/** Where a run stands. */
export interface ProgressState {
  /** What is running just now, e.g. one of several runs. */
  readonly detail?: string;
  readonly step: number;
  readonly steps: number;
  readonly lossNats: number;
  readonly tokensPerSecond: number;
  readonly etaSeconds: number;
  /** Loss (y, nats) by step (x) so far. */
  readonly curve: readonly { readonly x: number; readonly y: number }[];
}

/** Shows states; `final` is the last one, which stays. */
export interface ProgressSink {
  show(state: ProgressState, final: boolean): void | Promise<void>;
}
