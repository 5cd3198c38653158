// A recorded run in a page of its own: no server, no network.

import { draw } from "./chart.js";
import { captions, FIGURES, OF_EACH } from "./figures.js";
import { modelOf } from "./model.js";
import { short, words } from "./words.js";

const SECONDS = 15;

const part = (id) => document.getElementById(id);
const recording = JSON.parse(part("recording").textContent);
const frames = restored(recording.frames);
const TITLES = {
  samples: "Real and generated", curves: "Real and generated signals", losses: "Losses", discriminator: "The discriminator D(x)", players: "D's mean answers",
  moments: "Mean and spread", generator: "The generator G(z)", distance: "Distance W₁/σ",
};

/** Whole frames out of the changes from each to the next. */
function restored(changes) {
  let last = {};
  return changes.map((change) => {
    last = merged(last, change);
    return last;
  });
}

function merged(old, change) {
  const found = { ...old };
  for (const [name, value] of Object.entries(change)) {
    const nested = value && typeof value === "object" && !Array.isArray(value);
    found[name] = nested ? merged(old[name] ?? {}, value) : value;
  }
  return found;
}

/** The curves up to a step. */
function until(history, step) {
  if (!history) return history;
  return Object.fromEntries(Object.entries(history).map(([name, lists]) => {
    const count = (lists.step ?? []).filter((one) => one <= step).length;
    const cut = (list) => (Array.isArray(list[0]) ? list.map((inner) => inner.slice(0, count)) : list.slice(0, count));
    return [name, Object.fromEntries(Object.entries(lists).map(([key, list]) => [key, cut(list)]))];
  }));
}

function addCard(name, side) {
  const card = document.createElement("figure");
  const title = document.createElement("figcaption");
  title.append(Object.assign(document.createElement("h3"), { textContent: `${TITLES[name]}${side && ` · ${side}`}` }));
  const caption = document.createElement("p");
  const plot = Object.assign(document.createElement("div"), { className: "plot" });
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", title.textContent);
  title.append(caption);
  card.append(title, plot);
  part("plots").append(card);
  return { name, card, plot, caption, isOther: side === "B" };
}

const isPair = Boolean(recording.other);
document.body.dataset.pair = isPair;
const cards = Object.keys(FIGURES).flatMap((name) => (isPair && OF_EACH.includes(name) ? ["A", "B"] : [""]).map((side) => addCard(name, side)));
let at = 0;
let timer = null;

function show(index) {
  at = index;
  const frame = frames[at];
  const model = modelOf(recording.configured, frame, until(recording.history, frame.step), until(recording.other, frame.step));
  for (const { name, card, plot, caption, isOther } of cards) {
    const shown = isOther ? model.other : model;
    const figure = FIGURES[name](shown);
    card.hidden = !figure;
    if (!figure) continue;
    caption.textContent = captions(shown)[name] ?? "";
    draw(plot, figure);
  }
  part("position").value = at;
  part("position").setAttribute("aria-valuetext", `step ${frame.step}`);
  document.body.dataset.step = frame.step;
  const sides = [frame, ...(isPair ? [frame.rival] : [])].map(({ verdict, metrics, lanes_learned: rate, lanes_verdict: all }, side) => {
    const found = [`W₁/σ ${short(metrics.w1_over_std)}`];
    if (verdict) found.unshift(words(verdict));
    if (rate) found.push(`${rate.count} of ${all.length} runs have learned it`);
    return `${isPair ? `${"AB"[side]}: ` : ""}${found.join(", ")}`;
  });
  part("status").textContent = [`Step ${frame.step}`, ...sides].join(" · ");
}

function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => (at + 1 < frames.length ? show(at + 1) : play(false)), (1000 * SECONDS) / frames.length) : null;
  part("play").textContent = on ? "Pause" : "Play";
}

part("position").max = frames.length - 1;
part("position").addEventListener("input", (event) => {
  play(false);
  show(Number(event.target.value));
});
part("play").addEventListener("click", () => {
  if (!timer && at + 1 === frames.length) show(0);
  play(!timer);
});
document.addEventListener("themechange", () => show(at));
part("names").textContent = recording.names.map((name, side) => `${isPair ? `${"AB"[side]}: ` : ""}${name}`).join(" · ");
part("python").textContent = recording.python;
show(0);
