// What all plots share: the theme's colours, margins, axes, and the pieces that figures are made of.

const MOST_POINTS = 700;

export const CONFIG = { displaylogo: false, responsive: true, displayModeBar: false };

export function colours() {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(name).trim();
  return {
    data: value("--plot-data"),
    learnt: value("--plot-learnt"),
    second: value("--plot-second"),
    grid: value("--plot-grid"),
    text: value("--text"),
    muted: value("--muted"),
    surface: value("--surface"),
  };
}

export function axis(title, extra = {}) {
  const { grid, muted } = colours();
  return {
    title: { text: title, standoff: 6, font: { size: 12 } },
    gridcolor: grid, linecolor: muted, zeroline: false, nticks: 7, ...extra,
  };
}

export function layout(x, y, extra = {}) {
  const { text, surface, grid } = colours();
  return {
    // Fixed margins: measuring the labels at every redraw would make it slower.
    margin: { l: 50, r: 12, t: 24, b: 36, autoexpand: false },
    font: { family: "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif", size: 11, color: text },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { bgcolor: surface, bordercolor: grid, font: { color: text } },
    legend: {
      orientation: "h", x: 0, y: 1.01, xanchor: "left", yanchor: "bottom", font: { size: 11 }, traceorder: "normal",
    },
    // Dragging would get in the way of scrolling on a phone; pointing at a curve still reads its values.
    dragmode: false, hovermode: "x", showlegend: true, bargap: 0,
    xaxis: x, yaxis: y, ...extra,
  };
}

export function line(name, x, y, color, extra = {}) {
  const { dash, width = 2, ...rest } = extra;
  return { type: "scatter", mode: "lines", name, x, y, line: { color, width, dash }, ...rest };
}

/** A constant over the whole width of the plot. */
export function level(y, color, dash = "dash") {
  return { type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color, width: 1.5, dash } };
}

function faded(color, alpha) {
  const [red, green, blue] = [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
  return `rgba(${red},${green},${blue},${alpha})`;
}

/** The area between the 5 % and the 95 % quantile of all seeds. */
export function band(x, [low, , high], color) {
  const edge = { type: "scatter", mode: "lines", x, line: { width: 0 }, hoverinfo: "skip", showlegend: false };
  return [{ ...edge, y: low }, { ...edge, y: high, fill: "tonexty", fillcolor: faded(color, 0.22) }];
}

/** At most so many points that drawing them stays quick; the last one is always among them. */
export function thin(values) {
  const stride = Math.ceil(values.length / MOST_POINTS);
  if (stride <= 1) return [...values];
  return values.filter((_, index) => (values.length - 1 - index) % stride === 0);
}
