// What each plot shows: from the model (configured, frame, history, …) to Plotly's data and layout. Null hides a plot.

import { axis, band, colours, layout, level, line, thin } from "./look.js";
import { words } from "./settings.js";

const NEAR_ENOUGH = 0.05;
const STEP = "training step";

const middles = (edges) => edges.slice(1).map((edge, index) => (edge + edges[index]) / 2);

function samples({ configured, frame }) {
  const { data, learnt } = colours();
  const { name, x, density, edges, histogram } = configured.target;
  const centres = middles(edges);
  const bars = {
    type: "bar", name: "generated", x: centres, y: frame?.histogram ?? [], width: edges[1] - edges[0],
    marker: { color: learnt, opacity: 0.65 },
  };
  const real = density
    ? [line(`real: ${words(name).toLowerCase()}`, x, density, data, { width: 2.5 })]
    : histogram ? [line(`real: ${name}`, centres, histogram, data, { line: { shape: "hvh", color: data, width: 2 } })] : [];
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
const LOSS_LABELS = { loss_g: "loss of G", loss_d: "loss of D", loss: "loss" };

function losses({ configured, history }) {
  const palette = colours();
  const { losses: names, optimum } = configured;
  const spare = [palette.learnt, palette.second, palette.data];
  const traces = [];
  const shapes = [];
  names.forEach((name, index) => {
    const color = palette[LOSS_COLOURS[name]] ?? spare[index % spare.length];
    const { bands, losses: curves } = history;
    if (bands[name]) traces.push(...band(bands.step, bands[name], color));
    if (curves[name]) {
      traces.push(line(LOSS_LABELS[name] ?? words(name), thin(curves.step), thin(curves[name]), color, { width: 1.5 }));
    }
    if (optimum?.[name] !== undefined) shapes.push(level(optimum[name], color));
  });
  return { data: traces, layout: layout(axis(STEP), axis("loss"), { shapes, showlegend: names.length > 1 }) };
}

/** Without a sigmoid, D's output is a critic's score and not a probability. */
const isCritic = ({ frame }) => Boolean(frame?.discriminator) && !frame.discriminator.exact;

function discriminator(model) {
  if (!model.adversarial) return null;
  const { data, learnt, second } = colours();
  const { edges } = model.configured.target;
  const { x = [], learnt: curve = [], exact } = model.frame?.discriminator ?? {};
  const traces = [line("D(x), learnt", x, curve, learnt)];
  if (exact) traces.push(line("D*(x), best answer to G", x, exact, data, { dash: "dash" }));
  const critic = isCritic(model);
  const vertical = critic ? axis("critic's output") : axis("D(x)", { range: [-0.03, 1.03] });
  const shapes = critic ? [] : [level(0.5, second, "dot")];
  return { data: traces, layout: layout(axis("x", { range: [edges[0], edges.at(-1)] }), vertical, { shapes }) };
}

function players(model) {
  if (!model.adversarial) return null;
  const { data, learnt, second } = colours();
  const { step = [], d_real: real = [], d_fake: fake = [] } = model.history.losses;
  const traces = [
    line("on real data", thin(step), thin(real), data, { width: 1.5 }),
    line("on generated samples", thin(step), thin(fake), learnt, { width: 1.5 }),
  ];
  const critic = isCritic(model);
  const vertical = critic ? axis("critic's output") : axis("mean of D", { range: [-0.03, 1.03] });
  return { data: traces, layout: layout(axis(STEP), vertical, { shapes: critic ? [] : [level(0.5, second, "dot")] }) };
}

function moments({ configured, history }) {
  const { learnt, second } = colours();
  const { step = [], mean = [], std = [] } = history.looks;
  const { target } = configured;
  const traces = [
    line("mean", thin(step), thin(mean), learnt),
    line("standard deviation", thin(step), thin(std), second),
  ];
  const shapes = [level(target.mean, learnt), level(target.std, second)];
  return { data: traces, layout: layout(axis(STEP), axis("x"), { shapes }) };
}

function generator({ frame }) {
  if (!frame?.generator) return null;
  const { data, learnt, muted } = colours();
  const { z, z1, z2, x, exact } = frame.generator;
  if (z1) {
    const marker = {
      color: x, colorscale: "Viridis", size: 5,
      colorbar: { title: { text: "G(z)" }, thickness: 10, outlinewidth: 0, tickcolor: muted },
    };
    const dots = { type: "scatter", mode: "markers", x: z1, y: z2, marker, hovertemplate: "G = %{marker.color:.3g}" };
    const extra = { showlegend: false, hovermode: "closest" };
    return { data: [{ ...dots, name: "" }], layout: layout(axis("z₁"), axis("z₂"), extra) };
  }
  const traces = [line("G(z), learnt", z, x, learnt)];
  if (exact) traces.push(line("exact", z, exact, data, { dash: "dash" }));
  return { data: traces, layout: layout(axis("z"), axis("x = G(z)")) };
}

function distance({ configured, history }) {
  const { learnt, second, data } = colours();
  const { step = [], w1_over_std: curve = [] } = history.looks;
  const { w1_band: quantiles } = history;
  const traces = quantiles.w1_over_std ? band(quantiles.step, quantiles.w1_over_std, learnt) : [];
  traces.push(line("W₁/σ", thin(step), thin(curve), learnt, { showlegend: false }));
  const lines = [[NEAR_ENOUGH, second, "dash", "converged: 0.05"], [configured.floor, data, "dot", "floor"]]
    .filter(([value]) => value > 0);
  const shapes = lines.map(([value, color, dash]) => level(value, color, dash));
  const annotations = lines.map(([value, color, , text]) => ({
    text, font: { color, size: 11 }, xref: "paper", x: 1, xanchor: "right", yref: "y", y: Math.log10(value),
    yanchor: "bottom", showarrow: false,
  }));
  const vertical = axis("W₁/σ", { type: "log", dtick: 1, minor: { ticks: "outside", ticklen: 3 } });
  // Room for both lines and the whole curve; left alone, an empty log axis has no sensible range.
  const seen = [...curve, ...(quantiles.w1_over_std?.flat() ?? [])].filter((value) => value > 0);
  const values = [...seen, NEAR_ENOUGH, configured.floor, 0.5].filter((value) => value > 0);
  const low = values.reduce((one, other) => Math.min(one, other));
  const high = values.reduce((one, other) => Math.max(one, other));
  vertical.range = [Math.log10(low) - 0.15, Math.log10(high) + 0.15];
  return { data: traces, layout: layout(axis(STEP), vertical, { shapes, annotations, showlegend: false }) };
}

export const FIGURES = { samples, losses, discriminator, players, moments, generator, distance };

/** The lines below the titles that depend on what is shown. */
export function captions(model) {
  const { configured, frame } = model;
  const critic = isCritic(model);
  const many = Object.keys(model.history.bands).length ? " Band: 90 % of the seeds." : "";
  const best = Object.keys(configured.optimum ?? {}).length ? "Dashed: where they settle when G is perfect." : "";
  return {
    losses: `${best || "What training makes small, step by step."}${many}`,
    discriminator: critic
      ? "The critic's output: higher where it sees real data."
      : "Its belief that x is real. Dotted: ½, it cannot tell.",
    players: critic ? "They come together when G is perfect." : "Both go to ½ (dotted) when G is perfect.",
    generator: frame?.generator?.z1 ? "Colour: the output for each noise (z₁, z₂)." : "From noise z to a sample x.",
  };
}
