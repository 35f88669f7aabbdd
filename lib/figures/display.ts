/** The method the Deno kernel looks for on a cell's result. */
export const displaySymbol: unique symbol = Symbol.for("Jupyter.display");

const inspectSymbol: unique symbol = Symbol.for("Deno.customInspect");

/** One output in several forms, by MIME type; a front end shows the richest it can. */
export type MediaBundle = Readonly<Record<string, string | object>>;

/** Shown as a rich output in a notebook (the last expression of a cell, or `Deno.jupyter.display`). */
export interface Displayable {
  [displaySymbol](): Promise<MediaBundle>;
  /** The output's text form; also what `console.log` prints. */
  toString(): string;
}

/** A rich output with its text form. */
export function displayable(
  text: string,
  makeBundle: () => MediaBundle | Promise<MediaBundle>,
): Displayable {
  const display: Displayable & { [inspectSymbol](): string } = {
    [displaySymbol]: async () => ({ ...await makeBundle(), "text/plain": text }),
    [inspectSymbol]: () => text,
    toString: () => text,
  };
  return display;
}

/** An HTML output with its text form. */
export function htmlDisplay(html: string, text: string): Displayable {
  return displayable(text, () => ({ "text/html": html }));
}

/** Text for HTML content and attribute values. */
export function escapeHtml(text: string): string {
  return text.replace(
    /[&<>"']/g,
    (character) =>
      ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[character]!,
  );
}
