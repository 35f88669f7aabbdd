import { Buffer } from "node:buffer";
import { crc32, deflateSync } from "node:zlib";

const maxColours = 256;
const signature = Uint8Array.of(0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A);

/** Squared distance of two colours. */
function distance(a: number, b: number): number {
  const red = (a >> 16) - (b >> 16);
  const green = ((a >> 8) & 0xFF) - ((b >> 8) & 0xFF);
  const blue = (a & 0xFF) - (b & 0xFF);
  return red * red + green * green + blue * blue;
}

/**
 * At most 256 of the colours, such that every other is near one of them: in order of frequency, each that
 * is farther than a tolerance from all before. Plain areas so keep their exact colour.
 */
function choosePalette(byFrequency: readonly number[]): number[] {
  for (let tolerance = 0;; tolerance += 3) {
    const palette: number[] = [];
    for (const colour of byFrequency) {
      if (palette.every((chosen) => distance(chosen, colour) > tolerance * tolerance)) {
        palette.push(colour);
        if (palette.length > maxColours) break;
      }
    }
    if (palette.length <= maxColours) return palette;
  }
}

/** Each pixel's place in a palette, and the palette as 0xRRGGBB. */
function paletteOf(pixelsRGBA: Uint8Array): { palette: number[]; indices: Uint8Array } {
  const counts = new Map<number, number>();
  const colours = new Uint32Array(pixelsRGBA.length / 4);
  for (let pixel = 0; pixel < colours.length; pixel++) {
    const colour = pixelsRGBA[4 * pixel]! << 16 | pixelsRGBA[4 * pixel + 1]! << 8 |
      pixelsRGBA[4 * pixel + 2]!;
    colours[pixel] = colour;
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const byFrequency = [...counts.keys()].sort((a, b) => counts.get(b)! - counts.get(a)! || a - b);
  const palette = choosePalette(byFrequency);
  const nearest = new Map<number, number>();
  for (const colour of byFrequency) {
    let best = 0;
    for (let index = 1; index < palette.length; index++) {
      if (distance(palette[index]!, colour) < distance(palette[best]!, colour)) best = index;
    }
    nearest.set(colour, best);
  }
  return { palette, indices: Uint8Array.from(colours, (colour) => nearest.get(colour)!) };
}

function chunk(name: string, content: Uint8Array): Uint8Array {
  const body = Buffer.concat([Buffer.from(name, "latin1"), content]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}

/**
 * Encodes opaque RGBA pixels as a PNG with a palette: a plot takes a fifth of the bytes of a true-colour
 * one, and notebooks carry it as base64.
 */
export function encodePalettePng(
  pixelsRGBA: Uint8Array,
  width: number,
  height: number,
): Uint8Array {
  const { palette, indices } = paletteOf(pixelsRGBA);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8); // 8 bits a pixel, palette, deflate, standard filters, not interlaced
  const rows = new Uint8Array(height * (width + 1)); // each row begins with its filter: none
  for (let row = 0; row < height; row++) {
    rows.set(indices.subarray(row * width, (row + 1) * width), row * (width + 1) + 1);
  }
  return new Uint8Array(Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk(
      "PLTE",
      Uint8Array.from(palette.flatMap((rgb) => [rgb >> 16, (rgb >> 8) & 0xFF, rgb & 0xFF])),
    ),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", new Uint8Array()),
  ]));
}
