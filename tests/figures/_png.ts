import { Resvg } from "@resvg/resvg-js";
import { Buffer } from "node:buffer";

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** RGBA rows. */
  readonly data: Uint8Array;
}

/** Decodes a PNG by another library than the one that wrote it. */
export function decodePng(png: Uint8Array): Pixels {
  const header = Buffer.from(png);
  const [width, height] = [header.readUInt32BE(16), header.readUInt32BE(20)];
  const href = `data:image/png;base64,${header.toString("base64")}`;
  const image = new Resvg(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><image width="${width}" height="${height}" href="${href}"/></svg>`,
    { font: { loadSystemFonts: false } },
  ).render();
  return { width, height, data: image.pixels };
}

/** How many pixels of a region (shares of width and height) fulfil a condition. */
export function countPixels(
  pixels: Pixels,
  region: {
    readonly left: number;
    readonly top: number;
    readonly right: number;
    readonly bottom: number;
  },
  condition: (red: number, green: number, blue: number) => boolean,
): number {
  let count = 0;
  for (let y = Math.floor(region.top * pixels.height); y < region.bottom * pixels.height; y++) {
    for (let x = Math.floor(region.left * pixels.width); x < region.right * pixels.width; x++) {
      const start = 4 * (y * pixels.width + x);
      const [red, green, blue] = pixels.data.subarray(start, start + 3);
      if (condition(red!, green!, blue!)) count++;
    }
  }
  return count;
}

export function isDark(red: number, green: number, blue: number): boolean {
  return red + green + blue < 300;
}
