/** A token as a label: spaces, line ends and tabs made visible. */
export function visibleToken(text: string): string {
  return text.replaceAll(" ", "·").replaceAll("\r", "␍").replaceAll("\n", "↵").replaceAll(
    "\t",
    "⇥",
  );
}

/** A token and what is shown of it, such as its loss. */
export interface TokenValue {
  readonly text: string;
  readonly value: number;
}
