/** One token of a text and how uncertain it is. */
export type TokenEstimate = Readonly<{
  id: number;
  /** As `tokenizer.tokenText` shows it. */
  text: string;
  /** Place in the text, from 0. */
  position: number;
  /** Nats for entropies and losses, attributions without a unit; null where there is none. */
  estimate: number | null;
  /** Over the models of an ensemble; null for one model. */
  standardError: number | null;
  /** The token's bytes, which tell characters that are cut into several tokens. */
  bytes?: Uint8Array;
}>;
