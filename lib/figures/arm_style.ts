import type { Dash } from "./figure.ts";

/** How an arm (one of the models compared) looks in every figure. */
export interface ArmStyle {
  readonly colour: string;
  readonly dash: Dash;
  /** Marker for scatter plots; controls are hollow. */
  readonly symbol: string;
  readonly isControl: boolean;
}

// After Okabe and Ito: told apart with colour-blind eyes, and dark enough for lines on white.
const clmColours = { mixer: "#33475B", transformer: "#0072B2" } as const;
const eemColours = { mixer: "#D55E00", transformer: "#009E73" } as const;
// By the logarithm of the embedding's size, so that 4, 8, 16 numbers are neighbours.
const eemSizeColours = {
  mixer: ["#C9B12E", "#8F8500", "#E69F00", "#D55E00", "#B5305F", "#882E72", "#5B2A86"],
  transformer: ["#A6D96A", "#8CCB6B", "#5FBF78", "#009E73", "#007A6C", "#00575C", "#003B4A"],
} as const;
const otherColours = [
  "#56B4E9",
  "#CC79A7",
  "#009E73",
  "#8C6D31",
  "#0072B2",
  "#882E72",
  "#E69F00",
  "#D55E00",
] as const;
const otherDashes: readonly Dash[] = ["solid", "dashdot", "longdash", "dot"];

const controlWords = /zero|control|twin|shuffled|parameter|params|compute|flops|matched/i;

/** Mixes a colour with white; share 0 leaves it, 1 is white. */
export function tint(colour: string, share: number): string {
  const channels = [1, 3, 5].map((start) => Number.parseInt(colour.slice(start, start + 2), 16));
  return `#${
    channels.map((value) => Math.round(value + (255 - value) * share).toString(16).padStart(2, "0"))
      .join("")
  }`;
}

/** A colour with an opacity from 0 to 1. */
export function translucent(colour: string, opacity: number): string {
  const channels = [1, 3, 5].map((start) => Number.parseInt(colour.slice(start, start + 2), 16));
  return `rgba(${channels.join(",")},${opacity})`;
}

/** What an arm's name says: "EEM 8 numbers, slot zeroed" is an EEM control of size 8. */
function namedStyle(arm: string): ArmStyle | null {
  const role = /\b(CLM|EEM)\b/i.exec(arm)?.[1]?.toUpperCase();
  if (role === undefined) return null;
  const family = /transformer|llama|[-_ ]T\b/i.test(arm) ? "transformer" : "mixer";
  const isControl = controlWords.test(arm.replace(/\b\d+ parameters\b/i, ""));
  const size = /(?<![\d.])(\d+)(?![\d.]*[- ]?bit)/i.exec(arm.replace(/^.*?EEM/i, ""))?.[1];
  const sizes = eemSizeColours[family];
  const base = role === "CLM"
    ? clmColours[family]
    : size === undefined || role !== "EEM"
    ? eemColours[family]
    : sizes[Math.round(Math.log2(Math.max(1, Number(size)))) % sizes.length]!;
  const shape = family === "transformer" ? "square" : "circle";
  return {
    colour: isControl ? tint(base, 0.25) : base,
    dash: !isControl ? "solid" : /compute|flops/i.test(arm) ? "dot" : "dash",
    symbol: isControl ? `${shape}-open` : shape,
    isControl,
  };
}

function hash(text: string): number {
  let state = 0x811c9dc5;
  for (const character of new TextEncoder().encode(text)) {
    state = Math.imul(state ^ character, 0x01000193) >>> 0;
  }
  return state;
}

/**
 * The style of each arm, from its name alone: an arm keeps its look from figure to figure and in any
 * order. CLM arms are dark grey-blue (transformer: blue), EEM arms orange by embedding size
 * (transformer: green), controls paler and dashed; other names get a colour by their hash. Where two arms
 * of one figure would look the same, the later one in alphabetical order moves to a free colour.
 */
export function armStyles(arms: Iterable<string>): ReadonlyMap<string, ArmStyle> {
  const names = [...new Set(arms)].sort();
  const styles = new Map<string, ArmStyle>();
  const taken = new Set<string>();
  const look = (style: ArmStyle) => `${style.colour} ${style.dash}`;
  const claim = (name: string, style: ArmStyle) => {
    styles.set(name, style);
    taken.add(look(style));
  };
  const unplaced: string[] = [];
  for (const name of names) {
    const style = namedStyle(name);
    if (style && !taken.has(look(style))) claim(name, style);
    else unplaced.push(name);
  }
  const total = otherColours.length * otherDashes.length;
  for (const name of unplaced) {
    const isControl = controlWords.test(name);
    const start = hash(name) % otherColours.length;
    let style: ArmStyle | undefined;
    for (let offset = 0; offset < total; offset++) {
      const colour = otherColours[(start + offset) % otherColours.length]!;
      const dash = isControl
        ? "dash"
        : otherDashes[Math.floor(offset / otherColours.length) % otherDashes.length]!;
      style = { colour, dash, symbol: isControl ? "diamond-open" : "diamond", isControl };
      if (!taken.has(look(style))) break;
    }
    claim(name, style!);
  }
  return styles;
}
