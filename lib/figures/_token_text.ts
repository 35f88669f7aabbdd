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

/** Shown for a token that holds nothing but the rest of a character. */
export const CONTINUATION = "⋯";

/** Bytes of a character by its first one; 1 for ASCII and for what begins none. */
function characterLength(first: number): number {
  if (first < 0xc0) return 1;
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/**
 * Token texts to be shown in a row. Where tokens have bytes, a character that is cut into several is
 * shown on the first of them, with {@linkcode CONTINUATION} on the others; bytes that are no
 * character are U+FFFD. Controls are escaped, except for line ends and tabs.
 */
export function tokenTexts(
  tokens: readonly { readonly text: string; readonly bytes?: Uint8Array }[],
): string[] {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const characters: { token: number; bytes: number[] }[] = [];
  tokens.forEach(({ bytes }, token) => {
    for (const byte of bytes ?? []) {
      const open = characters.at(-1);
      const isRest = (byte & 0xc0) === 0x80 && open !== undefined &&
        open.bytes.length < characterLength(open.bytes[0]!);
      if (isRest) open.bytes.push(byte);
      else characters.push({ token, bytes: [byte] });
    }
  });
  const texts = tokens.map(({ text, bytes }) => bytes?.length ? "" : text);
  for (const { token, bytes } of characters) texts[token] += decoder.decode(Uint8Array.from(bytes));
  return texts.map((text, token) =>
    text === "" && tokens[token]!.bytes?.length ? CONTINUATION : escapeControls(text)
  );
}

function escapeControls(text: string): string {
  return text.replaceAll(
    // deno-lint-ignore no-control-regex
    /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
