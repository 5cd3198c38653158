// What all plots share: the theme's colours, and the pieces that figures are made of (see chart.js).

const MOST_POINTS = 700;

export const FONT = "11px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif";
export const DASHES = { dash: [7, 5], dot: [2, 3] };

let known = null;
document.addEventListener("themechange", () => { known = null; });

/** @param {boolean} rival whether what is learnt is the other model's, which has a colour of its own */
export function colours(rival = false) {
  if (!known) {
    const style = getComputedStyle(document.documentElement);
    const value = (name) => style.getPropertyValue(name).trim();
    known = { text: value("--text"), muted: value("--muted"), surface: value("--surface") };
    for (const name of ["data", "learnt", "second", "rival", "grid"]) known[name] = value(`--plot-${name}`);
  }
  return rival ? { ...known, learnt: known.rival } : known;
}

const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

/** A colour for a share from 0 to 1. */
export function viridis(share) {
  const at = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(at), VIRIDIS.length - 2);
  const mixed = VIRIDIS[low].map((value, index) => Math.round(value + (at - low) * (VIRIDIS[low + 1][index] - value)));
  return `rgb(${mixed})`;
}

export function axis(title, extra = {}) {
  return { title, ...extra };
}

/** A figure of one panel. */
export function figure(x, y, marks, extra = {}) {
  return { panels: [{ x, y }], marks, ...extra };
}

export function line(name, x, y, color, extra = {}) {
  return { kind: "line", name, x, y, color, ...extra };
}

/** A constant over the whole width of the plot. */
export function level(y, color, dash = "dash", extra = {}) {
  return { kind: "level", y, color, dash, ...extra };
}

/** The area between the 5 % and the 95 % quantile of all seeds. */
export function band(x, [low, , high], color) {
  return { kind: "area", x, low, high, color };
}

/** Many curves as one: a null lifts the pen. */
export function joined(x, curves) {
  return [curves.flatMap(() => [...x, null]), curves.flatMap((curve) => [...curve, null])];
}

/** At most so many points that drawing them stays quick; the last one is always among them. */
export function thin(values) {
  const stride = Math.ceil(values.length / MOST_POINTS);
  if (stride <= 1) return values;
  return values.filter((_, index) => (values.length - 1 - index) % stride === 0);
}
