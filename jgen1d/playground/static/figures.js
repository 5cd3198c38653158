// What each plot shows: from the model (configured, frame, history, …) to a figure (see chart.js). Null hides a plot.

import { axis, band, colours, figure, joined, level, line, thin } from "./look.js";
import { lossName, short, words } from "./words.js";

/** Real signals that are drawn among the generated ones. */
const FEW = 4;

/** The axis is as long as the run is going to be, so that nothing moves but the curves. */
const steps = ({ configured }) => axis("training step", { range: [0, configured.settings.num_steps] });

/** An axis' range around all values, with some room. */
function around(values) {
  const known = values.filter(Number.isFinite);
  const low = known.reduce((one, other) => Math.min(one, other));
  const high = known.reduce((one, other) => Math.max(one, other));
  const room = 0.07 * (high - low || 1);
  return [low - room, high + room];
}

const middles = (edges) => edges.slice(1).map((edge, index) => (edge + edges[index]) / 2);

/** The axis of signals' values: the real ones' range, and of what is generated no more than thrice that. */
function valuesOf({ mean, std, curves }, signals) {
  const ends = (one) => [...one.mean.flatMap((at, place) => [at - 2 * one.std[place], at + 2 * one.std[place]]), ...one.curves.flat()];
  const [low, high] = around(ends({ mean, std, curves }));
  const [least, most] = signals ? around([...ends(signals), low, high]) : [low, high];
  return [Math.max(least, low - (high - low)), Math.min(most, high + (high - low))];
}

function curves({ configured, frame, rival }) {
  const { target } = configured;
  if (!target.curves) return null;
  const { data, learnt } = colours(rival);
  const x = target.mean.map((_, place) => place);
  const signals = frame?.signals;
  const area = (name, { mean, std }, color) => {
    const [low, high] = [-2, 2].map((times) => mean.map((at, place) => at + times * std[place]));
    return { kind: "area", name: `${name}: mean ± 2 std`, x, low, high, color };
  };
  const bundle = (name, some, color, width, opacity) => line(name, ...joined(x, some), color, { width, opacity, many: true });
  const marks = [area("real", target, data)];
  if (signals) marks.push(area("generated", signals, learnt), bundle("generated signals", signals.curves, learnt, 1, 0.7));
  marks.push(bundle("real signals", target.curves.slice(0, FEW), data, 1.5, 1));
  return figure(axis("place", { range: [0, x.length - 1] }), axis("value", { range: valuesOf(target, signals) }), marks);
}

function samples({ configured, frame, rival }) {
  if (configured.target.curves) return null;
  const { data, learnt } = colours(rival);
  const { name, x, density, edges, histogram } = configured.target;
  const centres = middles(edges);
  const marks = [{
    kind: "bars", name: "generated", x: centres, y: frame?.histogram ?? [], width: edges[1] - edges[0], color: learnt,
  }];
  if (density) marks.push(line(`real: ${words(name).toLowerCase()}`, x, density, data, { width: 2.5 }));
  else if (histogram) marks.push(line(`real: ${name}`, centres, histogram, data, { stepped: true }));
  // A sharp peak of collapsed samples would squash the real curve: the axis follows it only so far.
  const top = Math.max(...(density ?? histogram ?? [0]));
  const tallest = Math.max(top, ...(frame?.histogram ?? [0]));
  const range = top > 0 ? [0, 1.08 * Math.min(tallest, 3 * top)] : undefined;
  return figure(axis("x", { range: [edges[0], edges.at(-1)] }), axis("density", { range }), marks);
}

function losses(model) {
  const palette = colours(model.rival);
  const { optimum } = model.configured;
  const known = Object.keys(model.history.losses).filter((name) => name !== "step" && model.history.losses[name].length);
  const usual = model.configured.losses.filter((name) => known.includes(name));
  // A method may call what it makes small by another name.
  const names = usual.length || !known.length ? model.configured.losses : known;
  const own = { loss_g: palette.learnt, loss_d: palette.second };
  const spare = [palette.learnt, palette.second, palette.data];
  const { bands, losses: curves } = model.history;
  const marks = names.flatMap((name, index) => {
    const color = own[name] ?? spare[index % spare.length];
    const found = [];
    if (bands[name]) found.push(band(bands.step, bands[name], color));
    found.push(line(lossName(name), thin(curves.step ?? []), thin(curves[name] ?? []), color, { width: 1.5 }));
    if (optimum?.[name] !== undefined) found.push(level(optimum[name], color));
    return found;
  });
  const vertical = axis("loss", known.length ? {} : { range: around([0, 2, ...Object.values(optimum ?? {})]) });
  return figure(steps(model), vertical, marks);
}

function discriminator(model) {
  if (!model.adversarial || model.configured.target.curves) return null;
  const { data, learnt, second } = colours(model.rival);
  const { edges } = model.configured.target;
  const { x = [], learnt: curve = [], optimal } = model.frame?.discriminator ?? {};
  const marks = model.critic ? [] : [level(0.5, second, "dot")];
  marks.push(line("D(x)", x, curve, learnt));
  if (optimal?.some(Number.isFinite)) marks.push(line("D*(x), optimal", x, optimal, data, { dash: "dash" }));
  const vertical = model.critic ? axis("critic's output") : axis("D(x)", { range: [-0.03, 1.03] });
  return figure(axis("x", { range: [edges[0], edges.at(-1)] }), vertical, marks);
}

function players(model) {
  if (!model.adversarial) return null;
  const { data, learnt, second } = colours(model.rival);
  const { step = [], d_real: real = [], d_fake: fake = [] } = model.history.losses;
  const marks = model.critic ? [] : [level(0.5, second, "dot")];
  marks.push(line("real data", thin(step), thin(real), data, { width: 1.5 }));
  marks.push(line("generated samples", thin(step), thin(fake), learnt, { width: 1.5 }));
  const vertical = model.critic ? axis("critic's output") : axis("mean of D", { range: [-0.03, 1.03] });
  return figure(steps(model), vertical, marks);
}

function moments(model) {
  const { configured: { target }, history } = model;
  if (target.curves) return null;
  const { learnt, second } = colours(model.rival);
  const { step = [], mean = [], std = [] } = history.looks;
  const marks = [
    level(target.mean, learnt), level(target.std, second),
    line("mean", thin(step), thin(mean), learnt), line("standard deviation", thin(step), thin(std), second),
  ];
  return figure(steps(model), axis("x", { range: around([...mean, ...std, target.mean, target.std]) }), marks);
}

function generator({ frame, rival }) {
  if (!frame?.generator) return null;
  const { data, learnt } = colours(rival);
  const { z, z1, z2, x, learnt: curve, optimal } = frame.generator;
  if (z1) {
    const ends = [Math.min(...x), Math.max(...x)].map((value) => short(value));
    const dots = { kind: "dots", name: `G(z): dark ${ends[0]}, bright ${ends[1]}`, x: z1, y: z2, values: x, color: data };
    return figure(axis("z₁"), axis("z₂"), [dots]);
  }
  const marks = [line("G(z), learnt", z, curve, learnt), line("G*(z), optimal", z, optimal, data, { dash: "dash" })];
  return figure(axis("z"), axis("x = G(z)"), marks);
}

/** One model's distances, and where two are compared the other one's, too. */
function distance(model) {
  const { second, data } = colours();
  const [floor, low, high] = model.configured.floor ?? [];
  const end = model.configured.settings.num_steps;
  const marks = [];
  if (low > 0) marks.push({ kind: "area", name: "perfect samplers, 90 %", x: [0, end], low: [low, low], high: [high, high], color: data });
  if (floor > 0) marks.push(level(floor, data, "dot"));
  const { threshold } = model.configured;
  if (threshold > 0) marks.push(level(threshold, second, "dash", { note: `converged: ${threshold}` }));
  for (const one of [model, model.other]) {
    if (!one) continue;
    const { learnt } = colours(one.rival);
    const { looks: { step = [], w1_over_std: curve = [] }, w1_band: quantiles } = one.history;
    if (quantiles.w1_over_std) marks.push(band(quantiles.step, quantiles.w1_over_std, learnt));
    const name = model.other ? (one.rival ? "B" : "A") : "W₁/σ";
    marks.push(line(name, thin(step), thin(curve), learnt));
  }
  // Room for the lines and the whole curves; left alone, an empty log axis has no sensible range.
  const drawn = marks.filter(({ kind }) => kind === "line" || (kind === "area")).flatMap((mark) => [mark.y, mark.low, mark.high]);
  const values = [...drawn.flatMap((list) => list ?? []), threshold, 0.5].filter((value) => value > 0);
  const least = values.reduce((one, other) => Math.min(one, other));
  const most = values.reduce((one, other) => Math.max(one, other));
  return figure(steps(model), axis("W₁/σ", { log: true, range: [least / 1.5, most * 1.4] }), marks);
}

export const FIGURES = { samples, curves, losses, discriminator, players, moments, generator, distance };

/** Those that are shown twice where two models are compared; the others show both in one. */
export const OF_EACH = ["samples", "curves", "losses", "discriminator", "players", "moments", "generator"];

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
