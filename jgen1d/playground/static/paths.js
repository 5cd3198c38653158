// How samples travel from noise to data, and the field that moves them, learnt against exact, at one time.

import { axis, colours, CONFIG, layout, line } from "./look.js";

const NARROW = 620;

const byId = (id) => document.getElementById(id);

/** Many curves as one trace: a null lifts the pen. */
function joined(t, curves) {
  return [curves.flatMap(() => [...t, null]), curves.flatMap((curve) => [...curve, null])];
}

export class Paths {
  constructor(connection) {
    this.message = null;
    byId("show-paths").addEventListener("click", () => {
      byId("show-paths").textContent = "Computing…";
      connection.send({ type: "paths" });
    });
    byId("paths-time").addEventListener("input", () => this.draw());
    document.addEventListener("themechange", () => this.draw());
    window.addEventListener("resize", () => this.draw());
  }

  /** Whether the method has paths at all; those on show were of a training that is gone. */
  reset(possible) {
    this.message = null;
    byId("card-paths").hidden = !possible;
    byId("plot-paths").hidden = true;
    byId("paths-time").disabled = true;
    byId("paths-value").textContent = "–";
    byId("show-paths").textContent = "Show paths";
  }

  show(message) {
    this.message = message;
    const slider = byId("paths-time");
    slider.max = message.t.length - 1;
    slider.value = message.t.length - 1;
    slider.disabled = false;
    byId("plot-paths").hidden = false;
    byId("show-paths").textContent = "Update paths";
    byId("paths-caption").textContent = message.kind === "score"
      ? "The paths, and the score at the slider's time: it points to where data are denser."
      : "The paths, and the velocity at the slider's time: it moves the samples.";
    this.draw();
  }

  /** The button works again, whatever became of the request. */
  refused() {
    byId("show-paths").textContent = this.message ? "Update paths" : "Show paths";
  }

  draw() {
    if (!this.message) return;
    const { t, samples, exact, grid, kind, learnt: fields, optimal } = this.message;
    const { data, learnt, second, muted } = colours();
    const plot = byId("plot-paths");
    const narrow = plot.clientWidth < NARROW;
    plot.classList.toggle("stacked", narrow);
    const now = Number(byId("paths-time").value);
    byId("paths-value").textContent = t[now].toFixed(2);
    byId("paths-time").setAttribute("aria-valuetext", t[now].toFixed(2));

    const faint = { width: 1, opacity: 0.4, hoverinfo: "skip" };
    const traces = [line("samples' paths", ...joined(t, samples), learnt, faint)];
    if (exact) traces.push(line("exact paths", ...joined(t, exact), data, { ...faint, opacity: 0.7, dash: "dot" }));
    traces.push({
      type: "scatter", mode: "markers", name: "samples at this time", x: samples.map(() => t[now]),
      y: samples.map((path) => path[now]), marker: { color: second, size: 5 }, hoverinfo: "y",
    });
    const right = { xaxis: "x2", yaxis: "y2" };
    traces.push(line(`${kind}, learnt`, grid, fields[now], learnt, right));
    if (optimal) traces.push(line(`${kind}, exact`, grid, optimal[now], data, { ...right, dash: "dash" }));

    const domains = narrow
      ? [{ domain: [0, 1] }, { domain: [0.57, 1] }, { domain: [0, 1] }, { domain: [0, 0.42] }]
      : [{ domain: [0, 0.54] }, {}, { domain: [0.62, 1] }, {}];
    const ends = [t[0], t.at(-1)];
    const shapes = [{ type: "line", x0: t[now], x1: t[now], yref: "y domain", y0: 0, y1: 1,
      line: { color: muted, width: 1, dash: "dot" } }];
    Plotly.react(plot, traces, layout(
      axis("time, from noise to data", { range: ends, ...domains[0] }),
      axis("x, standardised", domains[1]),
      {
        xaxis2: axis("x, standardised", { anchor: "y2", range: [grid[0], grid.at(-1)], ...domains[2] }),
        yaxis2: axis(kind, { anchor: "x2", ...domains[3] }),
        shapes, hovermode: "closest", margin: { l: 50, r: 14, t: narrow ? 112 : 30, b: 40, autoexpand: false },
      },
    ), CONFIG);
  }
}
