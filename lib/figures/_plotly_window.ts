import { type Canvas, createCanvas, type SKRSContext2D } from "@napi-rs/canvas";
import { JSDOM } from "jsdom";
import { Buffer } from "node:buffer";
import { createRequire } from "node:module";
import { canvasFont } from "./_fonts.ts";
import {
  type Box,
  localBox,
  pageBox,
  straightPath,
  type SvgElement,
  type TextMeasure,
  textWidth,
} from "./_svg_boxes.ts";
import type { Figure } from "./figure.ts";

/** The one function of plotly.js that is used. */
export interface Plotly {
  toImage(
    figure: Pick<Figure, "data" | "layout">,
    options: { format: "svg"; width: number; height: number },
  ): Promise<string>;
}

interface CanvasElement {
  width: number;
  height: number;
  ownerDocument: { defaultView: Record<string, unknown> };
}

const measuringContext = createCanvas(1, 1).getContext("2d");
const widths = new Map<string, number>();

const measureText: TextMeasure = (text, sizePx, bold) => {
  const key = `${sizePx} ${bold} ${text}`;
  let width = widths.get(key);
  if (width === undefined) {
    measuringContext.font = canvasFont(sizePx, bold);
    width = measuringContext.measureText(text).width;
    widths.set(key, width);
  }
  return width;
};

function rectangle(box: Box | null) {
  const { left, top, right, bottom } = box ?? { left: 0, top: 0, right: 0, bottom: 0 };
  const [width, height] = [right - left, bottom - top];
  return { x: left, y: top, left, top, right, bottom, width, height };
}

/**
 * plotly.js inside a DOM without a browser. jsdom has neither layout nor canvas: text is measured, and
 * heat maps are drawn, by a canvas package.
 */
export function loadPlotly(): Plotly {
  const dom = new JSDOM("<!DOCTYPE html><body></body>", { runScripts: "outside-only" });
  const { window } = dom;
  window.TextDecoder = TextDecoder;
  window.TextEncoder = TextEncoder;
  window.URL.createObjectURL = () => "";
  window.matchMedia = () => ({ matches: false, addListener() {}, removeListener() {} });

  const svg = window.SVGElement.prototype;
  svg.getBBox = function (this: SvgElement) {
    return rectangle(localBox(this, measureText));
  };
  svg.getBoundingClientRect = function (this: SvgElement) {
    return rectangle(pageBox(this, measureText));
  };
  svg.getComputedTextLength = function (this: SvgElement) {
    return textWidth(this, measureText);
  };
  svg.getTotalLength = function (this: SvgElement) {
    return straightPath(this).length;
  };
  svg.getPointAtLength = function (this: SvgElement, length: number) {
    return straightPath(this).pointAt(length);
  };

  const canvases = new WeakMap<CanvasElement, Canvas>();
  const canvasOf = (element: CanvasElement) => {
    let canvas = canvases.get(element);
    if (!canvas || canvas.width !== element.width || canvas.height !== element.height) {
      canvas = createCanvas(element.width, element.height);
      canvases.set(element, canvas);
    }
    return canvas;
  };
  const canvasElement = window.HTMLCanvasElement.prototype;
  canvasElement.getContext = function (this: CanvasElement, kind: string): SKRSContext2D | null {
    return kind === "2d" ? canvasOf(this).getContext("2d") : null;
  };
  canvasElement.toDataURL = function (this: CanvasElement): string {
    return `data:image/png;base64,${
      Buffer.from(canvasOf(this).toBuffer("image/png")).toString("base64")
    }`;
  };

  const path = createRequire(import.meta.url).resolve("plotly.js-dist-min/plotly.min.js");
  window.eval(Deno.readTextFileSync(path));
  return window.Plotly;
}
