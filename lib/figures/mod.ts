/** Records in, one figure out; and the notebook displays that show figures, tables, text and progress. */
export type { Dash, Figure, PlotlyLayout, PlotlyTrace } from "./figure.ts";
export { type Displayable, displaySymbol, type MediaBundle } from "./display.ts";
export { show } from "./show.ts";
export { type ImageSize, renderPng, renderSvg } from "./render_png.ts";
export { type ArmStyle, armStyles } from "./arm_style.ts";

export {
  type Band,
  type CurveOptions,
  type CurveRow,
  learningCurves,
  minMaxBand,
  type Reference,
  studentBand,
} from "./learning_curves.ts";
export { differenceCurves, leadsOver } from "./difference_curves.ts";
export { leadAgainstPrice, type LeadOptions, type LeadRow } from "./lead_against_price.ts";
export { type BarOptions, type BarRow, barsWithIntervals } from "./bars_with_intervals.ts";
export { histogram, type HistogramOptions, type Sample } from "./histogram.ts";
export { heatMap, type HeatMapCells, type HeatMapOptions } from "./heat_map.ts";
export {
  type LineFit,
  type PointRow,
  type ScatterOptions,
  scatterWithFit,
} from "./scatter_with_fit.ts";
export { tokenLosses, type TokenLossOptions } from "./token_losses.ts";

export type { HighlightedToken, HighlightOptions } from "./_token_scale.ts";
export { highlightTokens } from "./highlight_tokens.ts";
export {
  type TerminalColours,
  type TerminalTokenOptions,
  terminalTokens,
} from "./terminal_tokens.ts";
export { type Claim, claimCells, claimColumns, claimsTable, formatClaims } from "./claims_table.ts";
export { tableDisplay, type TableOptions } from "./table_display.ts";
export { formatTextTable, type TextColumn, wrapWords } from "./text_table.ts";
export { type ByteProgress, byteProgress } from "./byte_progress.ts";
export { type LiveProgress, liveProgress, type LiveProgressOptions } from "./live_progress.ts";
export type { ProgressSink, ProgressState } from "./progress.ts";
export { formatProgress, terminalProgress } from "./terminal_progress.ts";
