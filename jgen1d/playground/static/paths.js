// How samples travel from noise to data, and the field that moves them, learnt against exact, at one time.

import { draw } from "./chart.js";
import { axis, colours, joined, line } from "./look.js";

const NARROW = 620;

const byId = (id) => document.getElementById(id);

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

    const faint = { width: 1, opacity: 0.4 };
    const marks = [line("samples' paths", ...joined(t, samples), learnt, faint)];
    if (exact) marks.push(line("exact paths", ...joined(t, exact), data, { ...faint, opacity: 0.7, dash: "dot" }));
    marks.push({ kind: "upright", x: t[now], color: muted, dash: "dot" }, {
      kind: "dots", name: "samples at this time", x: samples.map(() => t[now]), y: samples.map((path) => path[now]),
      color: second,
    });
    marks.push(line(`${kind}, learnt`, grid, fields[now], learnt, { panel: 1 }));
    if (optimal) marks.push(line(`${kind}, exact`, grid, optimal[now], data, { panel: 1, dash: "dash" }));
    const boxes = narrow ? [[0, 0.57, 1, 1], [0, 0, 1, 0.43]] : [[0, 0, 0.54, 1], [0.63, 0, 1, 1]];
    draw(plot, {
      marks,
      panels: [
        { x: axis("time, from noise to data", { range: [t[0], t.at(-1)] }), y: axis("x, standardised"), box: boxes[0] },
        { x: axis("x, standardised", { range: [grid[0], grid.at(-1)] }), y: axis(kind), box: boxes[1] },
      ],
    });
  }
}
