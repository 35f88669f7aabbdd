import { Buffer } from "node:buffer";
import { type Displayable, displayable } from "./display.ts";
import type { Figure } from "./figure.ts";
import { renderPng } from "./render_png.ts";

/**
 * A figure as one notebook output in three forms: plotly's, interactive in JupyterLab and VS Code; a PNG,
 * for GitHub and for HTML reports that must work offline; and its words.
 */
export function show(figure: Figure): Displayable {
  return displayable(figure.altText, async () => ({
    "application/vnd.plotly.v1+json": {
      data: figure.data,
      layout: figure.layout,
      config: { displaylogo: false },
    },
    "image/png": Buffer.from(await renderPng(figure)).toString("base64"),
  }));
}
