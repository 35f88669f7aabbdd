import { Buffer } from "node:buffer";
import { type Displayable, displayable } from "./display.ts";
import type { Figure } from "./figure.ts";
import { renderPng } from "./render_png.ts";

/**
 * A figure as one notebook output in three forms: plotly's, interactive in JupyterLab and VS Code; a PNG,
 * for GitHub and for HTML reports that must work offline; and its words.
 */
export function show(figure: Figure): Displayable {
  // Without a width plotly fills the cell, which may be narrower than the figure.
  const { width: _width, ...layout } = figure.layout;
  return displayable(figure.altText, async () => ({
    "application/vnd.plotly.v1+json": {
      data: figure.data,
      layout: { ...layout, autosize: true },
      config: { displaylogo: false },
    },
    "image/png": Buffer.from(await renderPng(figure)).toString("base64"),
  }));
}
