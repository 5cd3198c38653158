// Draws a figure on a canvas: panels with axes, and marks in them. Small and quick, for a dozen plots that move.
//
// A figure is {panels: [{x, y, box}], marks, legend}. An axis is {title, range, log, labels}; without a range it holds all
// marks. A box is [left, bottom, right, top] in shares of the plot. A mark is one of
//   {kind: "line", name, x, y, color, width, dash, opacity, stepped, many}    {kind: "area", x, low, high, color}
//   {kind: "bars", name, x, y, width, color}                           {kind: "dots", name, x, y, color or values, size}
//   {kind: "level", y, color, dash, note, below}                       {kind: "upright", x, color}
// with `panel`, 0 by default. Null in y lifts the pen; `many` curves in one line have no value at the pointer.

import { colours, DASHES, FONT, viridis } from "./look.js";

const LEFT = 46;
const RIGHT = 18;
const BOTTOM = 34;
const ROW = 17;
const TICKS = 5;

/** Finite ends of a mark's values along an axis. */
function* ends(mark, axis) {
  if (mark.kind === "level") {
    if (axis === "y") yield mark.y;
    return;
  }
  if (mark.kind === "upright") return;
  const lists = axis === "x" ? [mark.x] : mark.kind === "area" ? [mark.low, mark.high] : [mark.y];
  for (const list of lists) for (const value of list) if (Number.isFinite(value)) yield value;
  if (mark.kind === "bars" && axis === "y") yield 0;
}

function rangeOf(axis, marks, which) {
  if (axis.range) return axis.range;
  let [low, high] = [Infinity, -Infinity];
  for (const mark of marks) {
    for (const value of ends(mark, which)) {
      if (axis.log && value <= 0) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high) return axis.log ? [0.01, 1] : [0, 1];
  if (axis.fromZero) low = Math.min(low, 0);
  if (axis.log) return [low / 1.6, high * 1.4];
  const room = which === "x" ? 0 : 0.06 * (high - low);
  return low === high ? [low - 0.5, high + 0.5] : [low - (axis.fromZero ? 0 : room), high + room];
}

function linearTicks([low, high]) {
  const rough = (high - low) / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((one) => one >= rough * 0.999);
  const ticks = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + 1e-9 * step; index++) ticks.push(index * step);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return ticks.map((value) => ({ value, text: label(value, digits) }));
}

function label(value, digits) {
  if (Math.abs(value) >= 10_000) return `${Number((value / 1000).toPrecision(6))}k`;
  return digits > 5 ? value.toExponential(1) : value.toFixed(digits).replace(/^-(0(\.0*)?)$/, "$1");
}

function logTicks([low, high]) {
  const ticks = [];
  const few = high / low < 30;
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (let times = 1; times < 10; times++) {
      const value = times * 10 ** power;
      if (value < low || value > high) continue;
      const shown = times === 1 || (few && (times === 2 || times === 5));
      ticks.push({ value, text: shown ? String(Number(value.toPrecision(2))) : "", minor: times !== 1 });
    }
  }
  return ticks;
}

/** Where the names of a figure's marks stand, row by row. */
function legendRows(pen, figure, width) {
  if (figure.legend === false) return [];
  const rows = [[]];
  let at = LEFT;
  for (const mark of figure.marks) {
    if (!mark.name || mark.unnamed) continue;
    const long = pen.measureText(mark.name).width + 34;
    if (at + long > width && rows.at(-1).length) {
      rows.push([]);
      at = LEFT;
    }
    rows.at(-1).push({ mark, at });
    at += long;
  }
  return rows[0].length ? rows : [];
}

class Plot {
  constructor(node) {
    this.node = node;
    this.canvas = document.createElement("canvas");
    this.hint = document.createElement("div");
    this.hint.className = "readout";
    this.hint.hidden = true;
    node.append(this.canvas, this.hint);
    this.pen = this.canvas.getContext("2d");
    new ResizeObserver(() => this.draw()).observe(node);
    node.addEventListener("pointermove", (event) => this.point(event));
    node.addEventListener("pointerleave", () => { this.hint.hidden = true; });
  }

  show(figure) {
    this.figure = figure;
    this.draw();
  }

  draw(pen = this.pen, width = this.node.clientWidth, height = this.node.clientHeight, ratio = devicePixelRatio || 1) {
    const { figure } = this;
    if (!figure || !width || !height) return;
    if (pen === this.pen) {
      const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
      if (this.canvas.width !== wide || this.canvas.height !== high) [this.canvas.width, this.canvas.height] = [wide, high];
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, width, height);
    }
    pen.font = FONT;
    const palette = colours();
    const rows = legendRows(pen, figure, width);
    rows.forEach((row, index) => row.forEach(({ mark, at }) => swatch(pen, mark, at, 4 + index * ROW, palette)));
    const top = 8 + rows.length * ROW;
    this.areas = figure.panels.map((panel, index) => {
      const [left, bottom, right, upper] = panel.box ?? [0, 0, 1, 1];
      const across = width - LEFT - RIGHT;
      const down = height - top - BOTTOM;
      const marks = figure.marks.filter((mark) => (mark.panel ?? 0) === index);
      const area = {
        marks, x0: LEFT + left * across, x1: LEFT + right * across, y0: top + (1 - bottom) * down, y1: top + (1 - upper) * down,
      };
      area.x = scale(panel.x, rangeOf(panel.x, marks, "x"), area.x0, area.x1);
      area.y = scale(panel.y, rangeOf(panel.y, marks, "y"), area.y0, area.y1);
      drawPanel(pen, panel, area, palette);
      return area;
    });
  }

  /** The values of the curves under the pointer. */
  point(event) {
    const box = this.node.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const area = this.areas?.find(({ x0, x1, y0, y1 }) => x >= x0 && x <= x1 && y >= y1 && y <= y0);
    const lines = (area?.marks ?? []).filter(({ kind, name, many, x: values }) => name && values?.length && kind !== "dots" && !many);
    this.hint.hidden = !lines.length;
    if (!lines.length) return;
    const at = area.x.back(x);
    const found = lines.map((mark) => {
      let best = 0;
      mark.x.forEach((value, index) => { if (Math.abs(value - at) < Math.abs(mark.x[best] - at)) best = index; });
      const values = mark.kind === "area" ? [mark.low[best], mark.high[best]] : [mark.y[best]];
      return `${mark.name}: ${values.map((value) => (Number.isFinite(value) ? Number(value.toPrecision(4)) : "–")).join(" to ")}`;
    });
    this.hint.textContent = [`${Number(at.toPrecision(4))}`, ...found].join("\n");
    this.hint.style.left = `${Math.min(x + 12, box.width - this.hint.offsetWidth - 2)}px`;
    this.hint.style.top = `${Math.max(0, y - this.hint.offsetHeight - 8)}px`;
  }
}

function scale({ log }, [low, high], from, to) {
  const by = log ? Math.log10 : (value) => value;
  const [start, end] = [by(low), by(high)];
  const place = (value) => from + ((by(value) - start) / (end - start)) * (to - from);
  const back = (at) => {
    const value = start + ((at - from) / (to - from)) * (end - start);
    return log ? 10 ** value : value;
  };
  return Object.assign(place, { back, range: [low, high] });
}

function drawPanel(pen, { x, y }, area, palette) {
  const { x0, x1, y0, y1 } = area;
  pen.lineWidth = 1;
  pen.fillStyle = palette.text;
  pen.strokeStyle = palette.grid;
  const across = x.log ? logTicks(area.x.range) : linearTicks(area.x.range);
  const down = y.log ? logTicks(area.y.range) : linearTicks(area.y.range);
  pen.textAlign = "center";
  pen.textBaseline = "top";
  pen.beginPath();
  for (const { value, text } of across) {
    const at = area.x(value);
    pen.moveTo(at, y0);
    pen.lineTo(at, y1);
    if (x.labels !== false) pen.fillText(text, at, y0 + 5);
  }
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const { value, text, minor } of down) {
    const at = area.y(value);
    pen.moveTo(x0, at);
    pen.lineTo(minor ? x0 + 4 : x1, at);
    if (y.labels !== false) pen.fillText(text, x0 - 5, at);
  }
  pen.stroke();
  pen.fillStyle = palette.muted;
  pen.textAlign = "center";
  pen.textBaseline = "bottom";
  if (x.title) pen.fillText(x.title, (x0 + x1) / 2, y0 + BOTTOM - 1);
  if (y.title) {
    pen.save();
    pen.translate(x0 - LEFT + 2, (y0 + y1) / 2);
    pen.rotate(-Math.PI / 2);
    pen.textBaseline = "top";
    pen.fillText(y.title, 0, 0);
    pen.restore();
  }
  pen.save();
  pen.beginPath();
  pen.rect(x0, y1 - 1, x1 - x0, y0 - y1 + 2);
  pen.clip();
  for (const mark of area.marks) drawMark(pen, mark, area, palette);
  pen.restore();
}

function stroke(pen, { color, width = 2, dash, opacity = 1 }) {
  pen.globalAlpha = opacity;
  pen.strokeStyle = color;
  pen.lineWidth = width;
  pen.setLineDash(DASHES[dash] ?? []);
  pen.stroke();
  pen.setLineDash([]);
  pen.globalAlpha = 1;
}

function drawMark(pen, mark, area, palette) {
  const { x, y } = area;
  pen.beginPath();
  if (mark.kind === "level" || mark.kind === "upright") {
    const ends = mark.kind === "level" ? [[area.x0, y(mark.y)], [area.x1, y(mark.y)]] : [[x(mark.x), area.y0], [x(mark.x), area.y1]];
    pen.moveTo(...ends[0]);
    pen.lineTo(...ends[1]);
    stroke(pen, { width: 1.5, dash: "dash", ...mark });
    if (mark.note) {
      pen.fillStyle = palette.muted;
      pen.textAlign = "right";
      pen.textBaseline = mark.below ? "top" : "bottom";
      pen.fillText(mark.note, area.x1 - 2, y(mark.y) + (mark.below ? 2 : -2));
    }
  } else if (mark.kind === "line") {
    let down = false;
    const { length } = mark.x;
    for (let index = 0; index < length; index++) {
      const value = mark.y[index];
      if (!Number.isFinite(value) || (value <= 0 && y.log)) {
        down = false;
        continue;
      }
      const [across, at] = [x(mark.x[index]), y(value)];
      if (mark.stepped && index + 1 < length) {
        const half = (x(mark.x[index + 1]) - across) / 2;
        if (down) pen.lineTo(across - half, at); else pen.moveTo(across - half, at);
        pen.lineTo(across + half, at);
      } else if (down) pen.lineTo(across, at); else pen.moveTo(across, at);
      down = true;
    }
    stroke(pen, mark);
  } else if (mark.kind === "area") {
    mark.x.forEach((value, index) => pen.lineTo(x(value), y(mark.high[index] ?? NaN)));
    for (let index = mark.x.length - 1; index >= 0; index--) pen.lineTo(x(mark.x[index]), y(mark.low[index] ?? NaN));
    pen.fillStyle = mark.color;
    pen.globalAlpha = mark.opacity ?? 0.22;
    pen.fill();
    pen.globalAlpha = 1;
  } else if (mark.kind === "bars") {
    const half = Math.abs(x(mark.width) - x(0)) / 2;
    const ground = y(0);
    mark.x.forEach((value, index) => {
      if (mark.y[index] > 0) pen.rect(x(value) - half, y(mark.y[index]), 2 * half, ground - y(mark.y[index]));
    });
    pen.fillStyle = mark.color;
    pen.globalAlpha = 0.65;
    pen.fill();
    pen.globalAlpha = 1;
  } else {
    const radius = (mark.size ?? 5) / 2;
    const least = mark.values && Math.min(...mark.values);
    const spread = mark.values && (Math.max(...mark.values) - least || 1);
    mark.x.forEach((value, index) => {
      pen.beginPath();
      pen.arc(x(value), y(mark.y[index]), radius, 0, 7);
      pen.fillStyle = mark.values ? viridis((mark.values[index] - least) / spread) : mark.color;
      pen.fill();
    });
  }
}

function swatch(pen, mark, left, top, palette) {
  const middle = top + ROW / 2;
  pen.beginPath();
  if (mark.kind === "bars" || mark.kind === "area") {
    pen.rect(left, middle - 4, 18, 8);
    pen.fillStyle = mark.color;
    pen.globalAlpha = mark.kind === "bars" ? 0.65 : 0.3;
    pen.fill();
    pen.globalAlpha = 1;
  } else if (mark.kind === "dots") {
    pen.arc(left + 9, middle, 3, 0, 7);
    pen.fillStyle = mark.color;
    pen.fill();
  } else {
    pen.moveTo(left, middle);
    pen.lineTo(left + 18, middle);
    stroke(pen, { ...mark, opacity: 1, width: Math.max(1.5, mark.width ?? 2) });
  }
  pen.fillStyle = palette.text;
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  pen.fillText(mark.name, left + 23, middle);
}

const plots = new WeakMap();

/** Shows a figure in an element, whose `figure` tells what it shows. */
export function draw(node, figure) {
  if (!plots.has(node)) plots.set(node, new Plot(node));
  node.figure = figure;
  plots.get(node).show(figure);
}

/** Draws what an element shows once more, elsewhere. */
export function copyTo(pen, node, width, height) {
  plots.get(node)?.draw(pen, width, height);
}

export const isDrawn = (node) => plots.has(node);
