/**
 * Sizes of SVG elements for a DOM that does no layout. plotly places legends, axis titles and margins
 * by the boxes of what it has drawn; here they are computed from text metrics and the few shapes it uses.
 */

/** The part of a DOM element that is needed here; jsdom ships no types. */
export interface SvgElement {
  readonly nodeType: number;
  readonly tagName: string;
  readonly textContent: string | null;
  readonly childNodes: ArrayLike<SvgElement>;
  readonly parentNode: SvgElement | null;
  getAttribute(name: string): string | null;
}

/** Width in pixels of a text at a font size. */
export type TextMeasure = (text: string, sizePx: number, bold: boolean) => number;

/** An axis-parallel box in pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** x' = a·x + c·y + e, y' = b·x + d·y + f, as in SVG. */
type Matrix = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

const identity: Matrix = [1, 0, 0, 1, 0, 0];
const ascentShare = 0.93;
const lineHeightShare = 1.17;

function multiply(p: Matrix, q: Matrix): Matrix {
  return [
    p[0] * q[0] + p[2] * q[1],
    p[1] * q[0] + p[3] * q[1],
    p[0] * q[2] + p[2] * q[3],
    p[1] * q[2] + p[3] * q[3],
    p[0] * q[4] + p[2] * q[5] + p[4],
    p[1] * q[4] + p[3] * q[5] + p[5],
  ];
}

function numbersIn(text: string): number[] {
  return (text.match(/-?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?/gi) ?? []).map(Number);
}

/** The matrix of an SVG `transform` attribute (translate, rotate and scale; others are not drawn). */
function parseTransform(transform: string): Matrix {
  let matrix = identity;
  for (const [, name, list] of transform.matchAll(/(\w+)\s*\(([^)]*)\)/g)) {
    const [x = 0, y, z] = numbersIn(list ?? "");
    if (name === "translate") matrix = multiply(matrix, [1, 0, 0, 1, x, y ?? 0]);
    else if (name === "scale") matrix = multiply(matrix, [x, 0, 0, y ?? x, 0, 0]);
    else if (name === "rotate") {
      const angle = (x * Math.PI) / 180;
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      matrix = multiply(matrix, [1, 0, 0, 1, y ?? 0, z ?? 0]);
      matrix = multiply(matrix, [cos, sin, -sin, cos, 0, 0]);
      matrix = multiply(matrix, [1, 0, 0, 1, -(y ?? 0), -(z ?? 0)]);
    }
  }
  return matrix;
}

function transformBox(matrix: Matrix, box: Box): Box {
  const xs: number[] = [];
  const ys: number[] = [];
  for (const x of [box.left, box.right]) {
    for (const y of [box.top, box.bottom]) {
      xs.push(matrix[0] * x + matrix[2] * y + matrix[4]);
      ys.push(matrix[1] * x + matrix[3] * y + matrix[5]);
    }
  }
  return {
    left: Math.min(...xs),
    top: Math.min(...ys),
    right: Math.max(...xs),
    bottom: Math.max(...ys),
  };
}

function union(boxes: readonly Box[]): Box | null {
  if (boxes.length === 0) return null;
  return {
    left: Math.min(...boxes.map((box) => box.left)),
    top: Math.min(...boxes.map((box) => box.top)),
    right: Math.max(...boxes.map((box) => box.right)),
    bottom: Math.max(...boxes.map((box) => box.bottom)),
  };
}

function ownStyle(element: SvgElement, property: string): string | null {
  const style = element.getAttribute("style") ?? "";
  const found = new RegExp(`(?:^|;)\\s*${property}\\s*:\\s*([^;]+)`, "i").exec(style);
  return found?.[1]?.trim() ?? element.getAttribute(property);
}

function inheritedStyle(element: SvgElement, property: string): string | null {
  for (let node: SvgElement | null = element; node?.nodeType === 1; node = node.parentNode) {
    const value = ownStyle(node, property);
    if (value !== null) return value;
  }
  return null;
}

function fontSizePx(element: SvgElement): number {
  for (let node: SvgElement | null = element; node?.nodeType === 1; node = node.parentNode) {
    const value = ownStyle(node, "font-size");
    if (value === null) continue;
    const size = Number.parseFloat(value);
    // Sub- and superscripts are set in a share of the size around them.
    if (/%$/.test(value) && node.parentNode) return (fontSizePx(node.parentNode) * size) / 100;
    return size;
  }
  return 12;
}

function isBold(element: SvgElement): boolean {
  return /bold|[6-9]00/.test(inheritedStyle(element, "font-weight") ?? "");
}

function attribute(element: SvgElement, name: string): number {
  return Number.parseFloat(element.getAttribute(name) ?? "0") || 0;
}

function runWidth(node: SvgElement, parent: SvgElement, measure: TextMeasure): number {
  if (node.nodeType === 3) {
    return measure(node.textContent ?? "", fontSizePx(parent), isBold(parent));
  }
  return sum(Array.from(node.childNodes, (child) => runWidth(child, node, measure)));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Width in pixels of the widest line of a text element. */
export function textWidth(text: SvgElement, measure: TextMeasure): number {
  return Math.max(...textLines(text).map((line) => runWidth(line, text, measure)));
}

/** plotly writes several lines as `<tspan class="line">`, one line straight into the element. */
function textLines(text: SvgElement): SvgElement[] {
  const lines = Array.from(text.childNodes).filter((node) =>
    node.nodeType === 1 && (node.getAttribute("class") ?? "").split(" ").includes("line")
  );
  return lines.length > 0 ? lines : [text];
}

function textBox(text: SvgElement, measure: TextMeasure): Box | null {
  const boxes: Box[] = [];
  const size = fontSizePx(text);
  for (const line of textLines(text)) {
    const width = runWidth(line, text, measure);
    if (width === 0) continue;
    const placed = line.getAttribute("x") === null ? text : line;
    const shift = line === text ? 0 : Number.parseFloat(line.getAttribute("dy") ?? "0") * size;
    const anchor = inheritedStyle(line, "text-anchor") ?? "start";
    const before = anchor === "middle" ? width / 2 : anchor === "end" ? width : 0;
    const left = attribute(placed, "x") - before;
    const top = attribute(placed, "y") + shift - ascentShare * size;
    boxes.push({ left, top, right: left + width, bottom: top + lineHeightShare * size });
  }
  return union(boxes);
}

function pathBox(path: SvgElement): Box | null {
  // Absolute and relative commands of straight lines and arcs: what plotly draws in legends.
  const xs: number[] = [];
  const ys: number[] = [];
  let [x, y] = [0, 0];
  for (
    const [, command = "", list = ""] of (path.getAttribute("d") ?? "").matchAll(
      /([a-z])([^a-z]*)/gi,
    )
  ) {
    const numbers = numbersIn(list);
    const [baseX, baseY] = command === command.toLowerCase() ? [x, y] : [0, 0];
    const kind = command.toUpperCase();
    if (kind === "H") x = baseX + (numbers.at(-1) ?? 0);
    else if (kind === "V") y = baseY + (numbers.at(-1) ?? 0);
    else {
      const step = kind === "A" ? 7 : 2;
      for (let index = step; index <= numbers.length; index += step) {
        x = baseX + numbers[index - 2]!;
        y = baseY + numbers[index - 1]!;
        xs.push(x);
        ys.push(y);
      }
    }
    if (kind !== "Z") {
      xs.push(x);
      ys.push(y);
    }
  }
  if (xs.length === 0) return null;
  return union([{
    left: Math.min(...xs),
    top: Math.min(...ys),
    right: Math.max(...xs),
    bottom: Math.max(...ys),
  }]);
}

/** The box of an element in its own coordinates (SVG's `getBBox`), null when it draws nothing. */
export function localBox(element: SvgElement, measure: TextMeasure): Box | null {
  switch (element.tagName.toLowerCase()) {
    case "text":
      return textBox(element, measure);
    case "rect":
    case "image": {
      const [left, top] = [attribute(element, "x"), attribute(element, "y")];
      return {
        left,
        top,
        right: left + attribute(element, "width"),
        bottom: top + attribute(element, "height"),
      };
    }
    case "path":
      return pathBox(element);
    case "g":
    case "svg":
    case "a": {
      const boxes: Box[] = [];
      for (const child of Array.from(element.childNodes)) {
        if (child.nodeType !== 1) continue;
        const box = localBox(child, measure);
        if (box) {
          boxes.push(transformBox(parseTransform(child.getAttribute("transform") ?? ""), box));
        }
      }
      return union(boxes);
    }
    default:
      return null;
  }
}

/** The box of an element on the page (`getBoundingClientRect`), with all transforms around it. */
export function pageBox(element: SvgElement, measure: TextMeasure): Box | null {
  let box = localBox(element, measure);
  for (let node: SvgElement | null = element; box && node?.nodeType === 1; node = node.parentNode) {
    const transform = node.getAttribute("transform");
    if (transform) box = transformBox(parseTransform(transform), box);
  }
  return box;
}

/** Length of a straight path "Mx0,y0Lx1,y1" and the point at a length: plotly asks for it of arrows. */
export function straightPath(path: SvgElement): {
  length: number;
  pointAt: (length: number) => { x: number; y: number };
} {
  const [x0 = 0, y0 = 0, x1 = x0, y1 = y0] = numbersIn(path.getAttribute("d") ?? "");
  const length = Math.hypot(x1 - x0, y1 - y0);
  return {
    length,
    pointAt: (along) => {
      const share = length === 0 ? 0 : along / length;
      return { x: x0 + share * (x1 - x0), y: y0 + share * (y1 - y0) };
    },
  };
}
