// Sampling by the inverse distribution function, from the target alone: u across to F, and down to x = F⁻¹(u).

import { reducedMotion } from "./board.js";
import { axis, colours, CONFIG, layout, line } from "./look.js";

const FALL_TIME = 900;
const MANY = 100;

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

  draw() {
    if (!this.target) return;
    const { x, density, cdf, edges } = this.target;
    const { data, learnt, second } = colours();
    const { u, progress } = this;
    const landing = this.place(u);
    byId("inverse-u").value = u;
    byId("inverse-value").textContent = u.toFixed(2);
    // The first half of the way leads across, the second one down.
    const across = edges[0] + (landing - edges[0]) * Math.min(2 * progress, 1);
    const down = u * Math.min(2 - 2 * progress, 1);
    const path = line("", [edges[0], across, across], [u, u, down], second, { width: 1.5, hoverinfo: "skip" });
    const point = {
      type: "scatter", mode: "markers", name: "x", x: [across], y: [down], marker: { color: second, size: 9 },
      hoverinfo: "x",
    };
    const size = (edges.at(-1) - edges[0]) / 30;
    const pile = {
      type: "histogram", x: this.fallen, yaxis: "y2", histnorm: "probability density", autobinx: false, name: "fallen",
      xbins: { start: edges[0], end: edges.at(-1), size }, marker: { color: learnt, opacity: 0.65 }, hoverinfo: "skip",
    };
    const traces = [line("F(x)", x, cdf, data), path, point, pile];
    traces.push(line("density", x, density, data, { yaxis: "y2", width: 1.5, hoverinfo: "skip" }));
    const top = 1.6 * density.reduce((one, other) => Math.max(one, other));
    Plotly.react(byId("plot-inverse"), traces, layout(
      axis("x", { range: [edges[0], edges.at(-1)], anchor: "y2" }),
      axis("u = F(x)", { range: [-0.02, 1.03], domain: [0.4, 1], nticks: 4 }),
      {
        yaxis2: axis("", { domain: [0, 0.32], range: [0, top], showticklabels: false }),
        showlegend: false, hovermode: "closest", margin: { l: 50, r: 12, t: 8, b: 36, autoexpand: false },
      },
    ), CONFIG);
  }
}
