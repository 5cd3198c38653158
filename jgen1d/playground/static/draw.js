// A density drawn by hand, or by the arrow keys.

import { TALLEST, wholeHeights } from "./url.js";

const SENDING_PAUSE = 250;
/** Pixels of the canvas below the zero line, for the axis, and above the greatest height. */
const BELOW = 26;
const ABOVE = 8;

/** Two unequal bumps: something to start from. */
function firstDrawing({ count }) {
  return Array.from({ length: count }, (_, index) => {
    const bump = (centre, width) => Math.exp(-0.5 * (((index / (count - 1)) - centre) / width) ** 2);
    return Math.round(TALLEST * (0.85 * bump(0.35, 0.06) + 0.5 * bump(0.62, 0.1)));
  });
}

export class Drawing {
  constructor(canvas, clearButton, grid, onChange) {
    Object.assign(this, { canvas, grid, onChange });
    this.heights = firstDrawing(grid);
    this.cursor = Math.floor(grid.count / 2);
    this.last = null;
    canvas.setAttribute("aria-valuemax", TALLEST);
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", () => (this.last = null));
    canvas.addEventListener("pointercancel", () => (this.last = null));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => this.paint());
    canvas.addEventListener("blur", () => this.paint());
    document.addEventListener("themechange", () => this.paint());
    clearButton.addEventListener("click", () => {
      this.heights = this.heights.map(() => 0);
      this.paint();
    });
    this.paint();
  }

  show(heights) {
    if (this.timer) return; // A newer drawing is about to be sent.
    this.heights = wholeHeights(heights);
    this.paint();
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.last = null;
    this.move(event, true);
  }

  move(event, pressed = this.last !== null) {
    if (!pressed) return;
    const box = this.canvas.getBoundingClientRect();
    const share = (value) => Math.min(Math.max(value, 0), 1);
    const index = Math.round(share((event.clientX - box.left) / box.width) * (this.grid.count - 1));
    const row = ((event.clientY - box.top) / box.height) * this.canvas.height;
    const height = Math.round(share(1 - (row - ABOVE) / (this.canvas.height - ABOVE - BELOW)) * TALLEST);
    // A fast stroke skips columns: a straight line joins them.
    const from = this.last ?? { index, height };
    const gap = Math.abs(index - from.index);
    for (let done = 0; done <= gap; done++) {
      const along = gap ? done / gap : 1;
      this.heights[Math.round(from.index + along * (index - from.index))] =
        Math.round(from.height + along * (height - from.height));
    }
    this.last = { index, height };
    this.cursor = index;
    this.changed();
  }

  key(event) {
    const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -this.grid.count, End: this.grid.count };
    const raises = { ArrowUp: 3, ArrowDown: -3, PageUp: 15, PageDown: -15 };
    const inside = (value, top) => Math.min(Math.max(value, 0), top);
    if (event.key in moves) {
      this.cursor = inside(this.cursor + moves[event.key], this.grid.count - 1);
      this.paint();
    } else if (event.key in raises) {
      this.heights[this.cursor] = inside(this.heights[this.cursor] + raises[event.key], TALLEST);
      this.changed();
    } else return;
    event.preventDefault();
  }

  changed() {
    this.paint();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = null;
      // An empty drawing is no density: it is sent when there is something in it.
      if (this.heights.some((height) => height > 0)) this.onChange([...this.heights]);
    }, SENDING_PAUSE);
  }

  paint() {
    const { canvas, grid, heights, cursor } = this;
    const { width, height } = canvas;
    const pen = canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const x = (index) => (index / (grid.count - 1)) * width;
    const y = (value) => height - BELOW - (value / TALLEST) * (height - ABOVE - BELOW);
    const value = (index) => grid.low + (index / (grid.count - 1)) * (grid.high - grid.low);
    pen.clearRect(0, 0, width, height);
    pen.beginPath();
    pen.moveTo(0, y(0));
    heights.forEach((level, index) => pen.lineTo(x(index), y(level)));
    pen.lineTo(width, y(0));
    pen.globalAlpha = 0.3;
    pen.fillStyle = colour("--plot-data");
    pen.fill();
    pen.globalAlpha = 1;
    pen.lineWidth = 3;
    pen.strokeStyle = colour("--plot-data");
    pen.stroke();
    pen.font = "20px system-ui, sans-serif";
    pen.fillStyle = colour("--muted");
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      pen.textAlign = share === 0 ? "left" : share === 1 ? "right" : "center";
      pen.fillText(grid.low + share * (grid.high - grid.low), share * width, height - 4);
    }
    if (document.activeElement === canvas) {
      pen.strokeStyle = colour("--plot-second");
      pen.strokeRect(x(cursor), 0, 0.1, y(0));
    }
    canvas.setAttribute("aria-valuenow", heights[cursor]);
    const text = `x = ${value(cursor).toFixed(2)}, height ${Math.round((100 * heights[cursor]) / TALLEST)} %`;
    canvas.setAttribute("aria-valuetext", text);
  }
}
