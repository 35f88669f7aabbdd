import { Resvg } from "@resvg/resvg-js";
import { fontFiles, rendererFontFamily } from "./_fonts.ts";
import { encodePalettePng } from "./_palette_png.ts";
import type { Plotly } from "./_plotly_window.ts";
import type { Figure } from "./figure.ts";

/** Size of an image: CSS pixels, and how many image pixels one of them takes. */
export interface ImageSize {
  readonly width?: number;
  readonly height?: number;
  readonly scale?: number;
}

let plotly: Promise<Plotly> | undefined;

/** plotly.js and its DOM take about a second to load: once, and only when a figure is drawn. */
function loadedPlotly(): Promise<Plotly> {
  plotly ??= import("./_plotly_window.ts").then((module) => module.loadPlotly());
  return plotly;
}

/** Draws a figure as SVG with plotly.js, without a browser. Sizes in CSS pixels. */
export async function renderSvg(
  figure: Figure,
  { width = figure.layout.width, height = figure.layout.height }: Omit<ImageSize, "scale"> = {},
): Promise<string> {
  const { toImage } = await loadedPlotly();
  const url = await toImage(
    { data: figure.data, layout: { ...figure.layout, width, height } },
    { format: "svg", width, height },
  );
  return decodeURIComponent(url.slice(url.indexOf(",") + 1));
}

/**
 * Draws a figure as a PNG of `width·scale` × `height·scale` pixels (defaults: the figure's own size and
 * 1.5), with bundled fonts, so that the image does not depend on the machine.
 */
export async function renderPng(figure: Figure, size: ImageSize = {}): Promise<Uint8Array> {
  const svg = await renderSvg(figure, size);
  const image = new Resvg(svg, {
    background: "white",
    fitTo: { mode: "zoom", value: size.scale ?? 1.5 },
    font: {
      fontFiles: [...fontFiles],
      loadSystemFonts: false,
      defaultFontFamily: rendererFontFamily,
      sansSerifFamily: rendererFontFamily,
    },
  });
  const { pixels, width, height } = image.render();
  return encodePalettePng(pixels, width, height);
}
