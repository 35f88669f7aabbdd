import { GlobalFonts } from "@napi-rs/canvas";
import { fileURLToPath } from "node:url";

/**
 * The fonts figures are drawn with, taken from an npm package: with the system's fonts an image would
 * differ from machine to machine, and on one without fonts its text would vanish.
 */
export const fontFiles: readonly string[] = [
  import.meta.resolve("dejavu-fonts-ttf/ttf/DejaVuSansCondensed.ttf"),
  import.meta.resolve("dejavu-fonts-ttf/ttf/DejaVuSansCondensed-Bold.ttf"),
].map((url) => fileURLToPath(url));

/** The family the SVG renderer knows these files under. */
export const rendererFontFamily = "DejaVu Sans";

/** What a figure asks for: the same face where it is installed, else one of about its width. */
export const figureFontFamily = "DejaVu Sans Condensed, DejaVu Sans, Arial, sans-serif";

const canvasFontFamily = "Figures";
let registered = false;

/** A CSS font string that makes a canvas measure or draw text with the figures' fonts. */
export function canvasFont(sizePx: number, bold = false): string {
  if (!registered) {
    for (const file of fontFiles) GlobalFonts.registerFromPath(file, canvasFontFamily);
    registered = true;
  }
  return `${bold ? "bold" : "normal"} ${sizePx}px ${canvasFontFamily}`;
}
