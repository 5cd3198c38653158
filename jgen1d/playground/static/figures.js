// What each plot shows: from the model (configured, frame, history, …) to Plotly's data and layout. Null hides a plot.

import { axis, band, colours, layout, level, line, thin } from "./look.js";
import { lossName, words } from "./settings.js";

/** Before there are curves, the axis is as long as the run is going to be. */
function steps({ configured, history }) {
  const empty = !history.losses.step?.length;
  return axis("training step", empty ? { range: [0, configured.settings.num_steps] } : { rangemode: "tozero" });
}

/** An axis' range around all values, with some room. */
function around(values) {
  const known = values.filter(Number.isFinite);
  const low = known.reduce((one, other) => Math.min(one, other));
  const high = known.reduce((one, other) => Math.max(one, other));
  const room = 0.07 * (high - low || 1);
  return [low - room, high + room];
}

const middles = (edges) => edges.slice(1).map((edge, index) => (edge + edges[index]) / 2);

function samples({ configured, frame }) {
  const { data, learnt } = colours();
  const { name, x, density, edges, histogram } = configured.target;
  const centres = middles(edges);
  const bars = {
    type: "bar", name: "generated", x: centres, y: frame?.histogram ?? [], width: edges[1] - edges[0],
    marker: { color: learnt, opacity: 0.65 },
  };
  const real = [];
  if (density) real.push(line(`real: ${words(name).toLowerCase()}`, x, density, data, { width: 2.5 }));
  else if (histogram) {
    const outline = { line: { shape: "hvh", color: data, width: 2 } };
    real.push(line(`real: ${name}`, centres, histogram, data, outline));
  }
  // A sharp peak of collapsed samples would squash the real curve: the axis follows it only so far.
  const top = Math.max(...(density ?? histogram ?? [0]));
  const tallest = Math.max(top, ...(frame?.histogram ?? [0]));
  const range = top > 0 ? [0, 1.08 * Math.min(tallest, 3 * top)] : undefined;
  return {
    data: [bars, ...real],
    layout: layout(axis("x", { range: [edges[0], edges.at(-1)] }), axis("density", { range })),
  };
}

const LOSS_COLOURS = { loss_g: "learnt", loss_d: "second" };

function losses(model) {
  const palette = colours();
  const { optimum } = model.configured;
  const known = Object.keys(model.history.losses);
  const usual = model.configured.losses.filter((name) => known.includes(name));
  // A method may call what it makes small by another name.
  const names = usual.length || !known.length ? model.configured.losses : known.filter((name) => name !== "step");
  const spare = [palette.learnt, palette.second, palette.data];
  const traces = [];
  const shapes = [];
  names.forEach((name, index) => {
    const color = palette[LOSS_COLOURS[name]] ?? spare[index % spare.length];
    const { bands, losses: curves } = model.history;
    if (bands[name]) traces.push(...band(bands.step, bands[name], color));
    if (curves[name]) {
      traces.push(line(lossName(name), thin(curves.step), thin(curves[name]), color, { width: 1.5 }));
    }
    if (optimum?.[name] !== undefined) shapes.push(level(optimum[name], color));
  });
  const vertical = axis("loss", traces.length ? {} : { range: around([0, 2, ...Object.values(optimum ?? {})]) });
  return { data: traces, layout: layout(steps(model), vertical, { shapes, showlegend: names.length > 1 }) };
}

function discriminator(model) {
  if (!model.adversarial) return null;
  const { data, learnt, second } = colours();
  const { edges } = model.configured.target;
  const { x = [], learnt: curve = [], optimal } = model.frame?.discriminator ?? {};
  const traces = [line("D(x)", x, curve, learnt)];
  if (optimal?.some(Number.isFinite)) traces.push(line("D*(x), optimal", x, optimal, data, { dash: "dash" }));
  const { critic } = model;
  const vertical = critic ? axis("critic's output") : axis("D(x)", { range: [-0.03, 1.03] });
  const shapes = critic ? [] : [level(0.5, second, "dot")];
  return { data: traces, layout: layout(axis("x", { range: [edges[0], edges.at(-1)] }), vertical, { shapes }) };
}

function players(model) {
  if (!model.adversarial) return null;
  const { data, learnt, second } = colours();
  const { step = [], d_real: real = [], d_fake: fake = [] } = model.history.losses;
  const traces = [
    line("real data", thin(step), thin(real), data, { width: 1.5 }),
    line("generated samples", thin(step), thin(fake), learnt, { width: 1.5 }),
  ];
  const { critic } = model;
  const vertical = critic ? axis("critic's output") : axis("mean of D", { range: [-0.03, 1.03] });
  const shapes = critic ? [] : [level(0.5, second, "dot")];
  return { data: traces, layout: layout(steps(model), vertical, { shapes }) };
}

function moments(model) {
  const { configured, history } = model;
  const { learnt, second } = colours();
  const { step = [], mean = [], std = [] } = history.looks;
  const { target } = configured;
  const traces = [
    line("mean", thin(step), thin(mean), learnt),
    line("standard deviation", thin(step), thin(std), second),
  ];
  const shapes = [level(target.mean, learnt), level(target.std, second)];
  const range = around([...mean, ...std, target.mean, target.std]);
  return { data: traces, layout: layout(steps(model), axis("x", { range }), { shapes }) };
}

function generator({ frame }) {
  if (!frame?.generator) return null;
  const { data, learnt, muted } = colours();
  const { z, z1, z2, x, learnt: curve, optimal } = frame.generator;
  if (z1) {
    const marker = {
      color: x, colorscale: "Viridis", size: 5,
      colorbar: { title: { text: "G(z)" }, thickness: 10, outlinewidth: 0, tickcolor: muted },
    };
    const dots = { type: "scatter", mode: "markers", x: z1, y: z2, marker, hovertemplate: "G = %{marker.color:.3g}" };
    const margin = { l: 50, r: 62, t: 24, b: 36, autoexpand: false };
    const extra = { showlegend: false, hovermode: "closest", margin };
    return { data: [{ ...dots, name: "" }], layout: layout(axis("z₁"), axis("z₂"), extra) };
  }
  const traces = [line("G(z), learnt", z, curve, learnt), line("G*(z), optimal", z, optimal, data, { dash: "dash" })];
  return { data: traces, layout: layout(axis("z"), axis("x = G(z)")) };
}

function distance(model) {
  const { configured, history } = model;
  const { learnt, second, data, muted } = colours();
  const { step = [], w1_over_std: curve = [] } = history.looks;
  const { w1_band: quantiles } = history;
  const traces = quantiles.w1_over_std ? band(quantiles.step, quantiles.w1_over_std, learnt) : [];
  traces.push(line("W₁/σ", thin(step), thin(curve), learnt, { showlegend: false }));
  const lines = [
    [configured.threshold, second, "dash", `converged: ${configured.threshold}`, "bottom"], [configured.floor, data, "dot", "floor", "top"],
  ].filter(([value]) => value > 0);
  const shapes = lines.map(([value, color, dash]) => level(value, color, dash));
  const annotations = lines.map(([value, , , text, yanchor]) => ({
    text, font: { color: muted, size: 11 }, xref: "paper", x: 1, xanchor: "right", yref: "y", y: Math.log10(value),
    yanchor, showarrow: false,
  }));
  const vertical = axis("W₁/σ", { type: "log", dtick: 1, minor: { ticks: "inside", ticklen: 3 } });
  // Room for both lines and the whole curve; left alone, an empty log axis has no sensible range.
  const seen = [...curve, ...(quantiles.w1_over_std?.flat() ?? [])].filter((value) => value > 0);
  const values = [...seen, configured.threshold, configured.floor, 0.5].filter((value) => value > 0);
  const low = values.reduce((one, other) => Math.min(one, other));
  const high = values.reduce((one, other) => Math.max(one, other));
  vertical.range = [Math.log10(low) - 0.25, Math.log10(high) + 0.15];
  return { data: traces, layout: layout(steps(model), vertical, { shapes, annotations, showlegend: false }) };
}

export const FIGURES = { samples, losses, discriminator, players, moments, generator, distance };

/** The lines below the titles that depend on what is shown. */
export function captions(model) {
  const { configured, critic, frame } = model;
  const many = Object.keys(model.history.bands).length ? " Band: 90 % of seeds." : "";
  const best = Object.keys(configured.optimum ?? {}).length ? "Dashed: their values when G is perfect." : "";
  return {
    losses: `${best || "What training makes small, step by step."}${many}`,
    discriminator: critic
      ? "The critic's output: higher where it sees real data."
      : "Its belief that x is real. Dotted: ½, it cannot tell.",
    players: critic ? "They come together when G is perfect." : "Both go to ½ (dotted) when G is perfect.",
    generator: frame?.generator?.z1 ? "Colour: the output for each noise (z₁, z₂)." : "From noise z to a sample x.",
  };
}
