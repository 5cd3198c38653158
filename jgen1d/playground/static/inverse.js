// Sampling by the inverse distribution function, from the target alone: u across to F, and down to x = F⁻¹(u).

import { reducedMotion } from "./board.js";
import { draw } from "./chart.js";
import { axis, colours, line } from "./look.js";

const FALL_TIME = 900;
const MANY = 100;
const BINS = 30;

const byId = (id) => document.getElementById(id);

/** F at the points of a grid, by trapezoids, from 0 to 1. */
function cumulate(x, density) {
  const sums = [0];
  for (let i = 1; i < x.length; i++) sums.push(sums[i - 1] + (x[i] - x[i - 1]) * (density[i] + density[i - 1]) / 2);
  return sums.map((sum) => sum / sums.at(-1));
}

function invert(x, cdf, u) {
  const above = Math.max(cdf.findIndex((value) => value >= u), 1);
  const rise = cdf[above] - cdf[above - 1];
  const along = rise > 0 ? (u - cdf[above - 1]) / rise : 1;
  return x[above - 1] + along * (x[above] - x[above - 1]);
}

export class InverseDemo {
  constructor() {
    this.target = null;
    this.fallen = [];
    this.u = 0.5;
    this.progress = 1;
    byId("inverse-u").addEventListener("input", (event) => {
      this.u = Number(event.target.value);
      this.progress = 1;
      this.draw();
    });
    byId("inverse-one").addEventListener("click", () => this.drop());
    byId("inverse-many").addEventListener("click", () => {
      for (let count = 0; count < MANY; count++) this.fallen.push(this.place(Math.random()));
      this.draw();
    });
    byId("inverse-clear").addEventListener("click", () => {
      this.fallen = [];
      this.draw();
    });
    document.addEventListener("themechange", () => this.draw());
  }

  setTarget(target) {
    this.fallen = [];
    byId("card-inverse").hidden = true;
    this.target = null;
    if (target.curves) return; // Signals have no distribution function.
    const middles = target.edges.slice(1).map((edge, index) => (edge + target.edges[index]) / 2);
    const [x, density] = target.density ? [target.x, target.density] : [middles, target.histogram];
    this.target = density ? { x, density, cdf: cumulate(x, density), edges: target.edges } : null;
    byId("card-inverse").hidden = !this.target;
    this.draw();
  }

  place(u) {
    return invert(this.target.x, this.target.cdf, u);
  }

  drop() {
    cancelAnimationFrame(this.frame);
    if (this.progress < 1) this.fallen.push(this.place(this.u)); // The one still in the air.
    this.u = Math.random();
    const began = performance.now();
    const fall = () => {
      this.progress = reducedMotion.matches ? 1 : Math.min((performance.now() - began) / FALL_TIME, 1);
      if (this.progress === 1) this.fallen.push(this.place(this.u));
      else this.frame = requestAnimationFrame(fall);
      this.draw();
    };
    fall();
  }

  /** The density of the fallen points in even bins. */
  pile() {
    const { edges } = this.target;
    const width = (edges.at(-1) - edges[0]) / BINS;
    const counts = new Array(BINS).fill(0);
    for (const x of this.fallen) counts[Math.min(BINS - 1, Math.max(0, Math.floor((x - edges[0]) / width)))] += 1;
    const x = counts.map((_, index) => edges[0] + (index + 0.5) * width);
    return { x, y: counts.map((count) => count / (Math.max(1, this.fallen.length) * width)), width };
  }

  draw() {
    if (!this.target) return;
    const { x, density, cdf, edges } = this.target;
    const { data, learnt, second } = colours();
    const { u, progress } = this;
    const landing = this.place(u);
    byId("inverse-u").value = u;
    byId("inverse-value").textContent = u.toFixed(2);
    byId("inverse-count").textContent = `${this.fallen.length} fallen`;
    // The first half of the way leads across, the second one down.
    const across = edges[0] + (landing - edges[0]) * Math.min(2 * progress, 1);
    const down = u * Math.min(2 - 2 * progress, 1);
    const range = [edges[0], edges.at(-1)];
    draw(byId("plot-inverse"), {
      legend: false,
      panels: [
        { x: axis("", { range, labels: false }), y: axis("u = F(x)", { range: [-0.02, 1.03] }), box: [0, 0.4, 1, 1] },
        {
          x: axis("x", { range }), box: [0, 0, 1, 0.34],
          y: axis("", { range: [0, 1.6 * density.reduce((one, other) => Math.max(one, other))], labels: false }),
        },
      ],
      marks: [
        line("F(x)", x, cdf, data),
        line("", [edges[0], across, across], [u, u, down], second, { width: 1.5 }),
        { kind: "dots", name: "x", x: [across], y: [down], color: second, size: 9 },
        { kind: "bars", name: "fallen", ...this.pile(), color: learnt, panel: 1 },
        line("density", x, density, data, { width: 1.5, panel: 1 }),
      ],
    });
  }
}
