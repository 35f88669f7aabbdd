/** Finds places for point labels where they cover neither points, error bars, a line nor each other. */

export interface LabelledPoint {
  readonly text: string;
  /** Pixels from the left and top of the plot. */
  readonly x: number;
  readonly y: number;
  /** Ends of the point's error bar, pixels from the top. */
  readonly top: number;
  readonly bottom: number;
}

/** Where a label's middle goes, in pixels from its point. */
export interface LabelPlace {
  readonly dx: number;
  readonly dy: number;
}

interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Average advance of the figures' font as a share of its size, on the safe side. */
const characterShare = 0.5;
const markerRadiusPx = 7;

export function labelSize(text: string, sizePx: number): { width: number; height: number } {
  return { width: text.length * sizePx * characterShare + 4, height: sizePx * 1.4 };
}

function overlap(a: Box, b: Box): number {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  return width > 0 && height > 0 ? width * height : 0;
}

/** Whether a line passes through a box. */
function crosses(line: { x0: number; y0: number; x1: number; y1: number }, box: Box): boolean {
  const slope = (line.y1 - line.y0) / (line.x1 - line.x0);
  const [atLeft, atRight] = [box.left, box.right].map((x) => line.y0 + slope * (x - line.x0));
  return Math.max(atLeft!, atRight!) > box.top && Math.min(atLeft!, atRight!) < box.bottom;
}

/**
 * Greedy: each label, from the left-most point on, takes the first place that costs least, near places
 * before far ones. Deterministic.
 */
export function placeLabels(
  points: readonly LabelledPoint[],
  plot: { readonly width: number; readonly height: number; readonly sizePx: number },
  line: { x0: number; y0: number; x1: number; y1: number },
): LabelPlace[] {
  const obstacles: Box[] = points.flatMap((point) => [
    {
      left: point.x - markerRadiusPx,
      right: point.x + markerRadiusPx,
      top: point.y - markerRadiusPx,
      bottom: point.y + markerRadiusPx,
    },
    { left: point.x - 4, right: point.x + 4, top: point.top, bottom: point.bottom },
  ]);
  const places: LabelPlace[] = points.map(() => ({ dx: 0, dy: 0 }));
  const order = points.map((_, index) => index).sort((a, b) =>
    points[a]!.x - points[b]!.x || points[a]!.y - points[b]!.y || a - b
  );
  for (const index of order) {
    const point = points[index]!;
    const { width, height } = labelSize(point.text, plot.sizePx);
    let best: { cost: number; place: LabelPlace; box: Box } | undefined;
    for (const distance of [2, 12, 26, 44, 68, 98]) {
      for (const angle of [0, 180, -35, 35, -145, 145, -90, 90, -65, 65, -115, 115]) {
        const radians = angle * Math.PI / 180;
        const dx = Math.cos(radians) * (markerRadiusPx + distance + width / 2);
        const dy = Math.sin(radians) * (markerRadiusPx + distance + height / 2);
        const box: Box = {
          left: point.x + dx - width / 2,
          right: point.x + dx + width / 2,
          top: point.y + dy - height / 2,
          bottom: point.y + dy + height / 2,
        };
        const outside = width * height - overlap(box, {
          left: 0,
          top: 0,
          right: plot.width,
          bottom: plot.height,
        });
        const covered = obstacles.reduce((total, obstacle) => total + overlap(box, obstacle), 0);
        const cost = 10 * (covered + outside) + (crosses(line, box) ? 60 : 0) + distance;
        if (!best || cost < best.cost) best = { cost, place: { dx, dy }, box };
      }
    }
    places[index] = { dx: Math.round(best!.place.dx), dy: Math.round(best!.place.dy) };
    obstacles.push(best!.box);
  }
  return places;
}
