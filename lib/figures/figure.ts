/**
 * A figure: a plotly specification restricted to what the builders here use, with the words that stand
 * in for it where no image can be shown. It is plain data, equal to itself after a round trip through
 * JSON.
 */
export interface Figure {
  readonly data: readonly PlotlyTrace[];
  readonly layout: PlotlyLayout;
  /** One paragraph: what is plotted, in which units, and the values a reader would take from it. */
  readonly altText: string;
}

export type PlotlyTrace = ScatterTrace | BarTrace | HeatMapTrace;

export type Dash = "solid" | "dot" | "dash" | "dashdot" | "longdash";

/** Values along an axis; `null` leaves a gap. */
export type AxisValues = readonly (number | string | null)[];

export interface ErrorBars {
  readonly type: "data";
  readonly symmetric: false;
  /** Distance from the value to the upper end. */
  readonly array: readonly (number | null)[];
  /** Distance from the value to the lower end. */
  readonly arrayminus: readonly (number | null)[];
  readonly color?: string;
  readonly thickness: number;
  readonly width: number;
}

interface TraceBase {
  readonly name?: string;
  readonly legendgroup?: string;
  readonly showlegend?: boolean;
  readonly hoverinfo?: "skip";
  readonly hovertemplate?: string;
  readonly customdata?: AxisValues;
  readonly xaxis?: string;
  readonly yaxis?: string;
}

export interface ScatterTrace extends TraceBase {
  readonly type: "scatter";
  readonly mode: "lines" | "markers" | "lines+markers";
  readonly x: AxisValues;
  readonly y: AxisValues;
  readonly line?: {
    readonly color?: string;
    readonly width?: number;
    readonly dash?: Dash;
    readonly shape?: "linear" | "hv";
  };
  readonly marker?: {
    readonly color?: string;
    readonly size?: number;
    readonly symbol?: string;
    readonly opacity?: number;
    readonly line?: { readonly color: string; readonly width: number };
  };
  readonly fill?: "toself" | "tozeroy";
  readonly fillcolor?: string;
  readonly error_y?: ErrorBars;
}

export interface BarTrace extends TraceBase {
  readonly type: "bar";
  readonly orientation: "v" | "h";
  readonly x: AxisValues;
  readonly y: AxisValues;
  readonly marker: {
    readonly color: string;
    readonly line?: { readonly color: string; readonly width: number };
    readonly pattern?: {
      readonly shape: string;
      readonly size: number;
      readonly solidity: number;
      readonly fgcolor: string;
    };
  };
  readonly error_x?: ErrorBars;
  readonly error_y?: ErrorBars;
}

export interface HeatMapTrace extends TraceBase {
  readonly type: "heatmap";
  readonly x: AxisValues;
  readonly y: AxisValues;
  readonly z: readonly (readonly (number | null)[])[];
  readonly zmin: number;
  readonly zmax: number;
  readonly colorscale: readonly (readonly [number, string])[];
  readonly colorbar: {
    readonly title: { readonly text: string; readonly side: "right" };
    readonly thickness: number;
    readonly outlinewidth: number;
  };
  readonly xgap: number;
  readonly ygap: number;
}

export interface PlotlyAxis {
  readonly title: {
    readonly text: string;
    readonly standoff: number;
    readonly font: { readonly size: number };
  };
  readonly type?: "linear" | "log" | "category";
  readonly range?: readonly [number, number];
  readonly domain?: readonly [number, number];
  readonly anchor?: string;
  readonly matches?: string;
  readonly autorange?: "reversed";
  readonly rangemode?: "tozero";
  readonly tickmode?: "array";
  readonly tickvals?: AxisValues;
  readonly ticktext?: readonly string[];
  readonly tickangle?: number;
  readonly tickfont?: { readonly size: number };
  readonly showticklabels?: boolean;
  readonly showgrid: boolean;
  readonly gridcolor: string;
  readonly gridwidth: number;
  readonly linecolor: string;
  readonly linewidth: number;
  readonly ticks: "outside" | "";
  readonly tickcolor: string;
  readonly zeroline: boolean;
  readonly zerolinecolor?: string;
  readonly zerolinewidth?: number;
  readonly exponentformat: "SI";
  readonly automargin: boolean;
}

export interface PlotlyAnnotation {
  readonly text: string;
  readonly x: number | string;
  readonly y: number | string;
  readonly xref: string;
  readonly yref: string;
  readonly xanchor: "left" | "center" | "right";
  readonly yanchor: "top" | "middle" | "bottom";
  readonly showarrow: boolean;
  readonly ax?: number;
  readonly ay?: number;
  readonly arrowhead?: number;
  readonly arrowwidth?: number;
  readonly arrowcolor?: string;
  readonly standoff?: number;
  readonly bgcolor?: string;
  readonly font: { readonly size: number; readonly color: string };
}

export interface PlotlyLayout {
  readonly width: number;
  readonly height: number;
  readonly title: {
    readonly text: string;
    readonly subtitle?: {
      readonly text: string;
      readonly font: { readonly size: number; readonly color: string };
    };
    readonly x: number;
    readonly xanchor: "left";
    readonly xref: "container";
    readonly y: number;
    readonly yanchor: "top";
    readonly yref: "container";
    readonly font: { readonly size: number };
    readonly pad: { readonly l: number; readonly t: number };
  };
  readonly font: { readonly family: string; readonly size: number; readonly color: string };
  readonly paper_bgcolor: string;
  readonly plot_bgcolor: string;
  readonly margin: {
    readonly l: number;
    readonly r: number;
    readonly t: number;
    readonly b: number;
  };
  readonly showlegend: boolean;
  readonly legend: {
    readonly x: number;
    readonly xanchor: "left";
    readonly y: number;
    readonly yanchor: "top";
    readonly tracegroupgap: number;
    readonly itemwidth: number;
    readonly font: { readonly size: number };
  };
  readonly hovermode: "closest" | "x";
  readonly barmode?: "group" | "stack" | "overlay";
  readonly bargap?: number;
  readonly annotations?: readonly PlotlyAnnotation[];
  readonly xaxis?: PlotlyAxis;
  readonly yaxis?: PlotlyAxis;
  readonly [axis: `xaxis${number}` | `yaxis${number}`]: PlotlyAxis;
}
