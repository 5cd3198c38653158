// What is kept of a run for its replay: the newest frames, thinned so that a long run takes no more memory.

import { thin } from "./look.js";

const MOST = 400;
const MOST_REPLAYED = 200;
const MOST_OF_SIGNALS = 80; // Each holds many curves.
const KEPT = ["step", "histogram", "signals", "discriminator", "generator", "metrics", "verdict", "lanes_verdict", "lanes_learned"];
const CURVES = ["step", "d_real", "d_fake", "mean", "std", "w1_over_std"];

const pick = (frame) => Object.fromEntries(KEPT.map((name) => [name, frame[name]]));

export class Recorder {
  constructor() {
    this.clear();
  }

  clear() {
    this.frames = [];
  }

  take(frame) {
    const kept = { ...pick(frame), rival: frame.rival ? pick(frame.rival) : null };
    if (this.frames.at(-1)?.step === frame.step) this.frames.pop();
    this.frames.push(kept);
    if (this.frames.length > MOST) this.frames = halved(this.frames);
  }

  /** All that a replay needs: numbers to three digits, and of each frame only what the one before does not have. */
  recording(configured, { history, other, names }) {
    let { frames } = this;
    while (frames.length > (configured.target.curves ? MOST_OF_SIGNALS : MOST_REPLAYED)) frames = halved(frames);
    const before = {};
    const { target, threshold, rival, python, ...rest } = configured;
    return rounded({
      configured: { ...rest, target, threshold, rival, python: undefined, command: undefined }, names, python,
      frames: frames.map((frame) => changes(frame, before)),
      history: curves(history, configured.losses), other: rival && curves(other, rival.losses),
    });
  }
}

/** Every second one, and the last. */
function halved(frames) {
  return frames.filter((_, index) => (frames.length - 1 - index) % 2 === 0);
}

/** The parts that differ from those before, which are kept in `before`. */
function changes(part, before) {
  const found = {};
  for (const [name, value] of Object.entries(part)) {
    if (value && typeof value === "object" && !Array.isArray(value)) {
      if (typeof before[name] !== "object" || before[name] === null) before[name] = {};
      const inner = changes(value, before[name]);
      if (Object.keys(inner).length) found[name] = inner;
    } else {
      const text = JSON.stringify(rounded(value));
      if (before[name] !== text) found[name] = value ?? null;
      before[name] = text;
    }
  }
  return found;
}

function curves(history, losses) {
  const found = {};
  for (const [part, lists] of Object.entries(history.toJSON())) {
    const wanted = Object.entries(lists).filter(([name]) => CURVES.includes(name) || losses.includes(name));
    found[part] = Object.fromEntries(wanted.map(([name, list]) => [name, Array.isArray(list[0]) ? list.map(thin) : thin(list)]));
  }
  return found;
}

function rounded(value) {
  if (typeof value === "number") return Number.isInteger(value) ? value : Number(value.toPrecision(3));
  if (Array.isArray(value)) return value.map(rounded);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, rounded(inner)]));
  }
  return value;
}
