// The status line, the verdicts with their numbers, and the seeds side by side.

import { share } from "./lessons.js";
import { lossName, short, words } from "./words.js";

const ONE_SECOND = 1000;
const LETTERS = {
  indistinguishable: "I", converged: "C", false_equilibrium: "F", mode_collapse: "M", oscillating: "O", not_converged: "N", diverged: "D",
};

const byId = (id) => document.getElementById(id);

/** Text only where it differs: screen readers and the browser's layout are left in peace. */
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export class Outcome {
  constructor(schema, onLane) {
    this.schema = schema;
    this.onLane = onLane;
    this.spokenAt = -ONE_SECOND;
  }

  /** The status line; a burst of changes ends with the newest after at most a second. */
  say(text) {
    this.text = text;
    if (this.timer) return;
    const wait = Math.max(0, this.spokenAt + ONE_SECOND - performance.now());
    this.timer = setTimeout(() => {
      this.timer = null;
      this.spokenAt = performance.now();
      write(byId("status"), this.text);
    }, wait);
  }

  /** @param {number} seconds that the state has lasted */
  status(state, message, frame, losses, seconds = 0) {
    const divergedAt = frame?.diverged_at ?? -1;
    const states = {
      idle: frame?.step ? "Paused" : "Ready",
      compiling: "Compiling…",
      running: "Running",
      stopping: "Stopping…",
      finished: "Finished",
      diverged: divergedAt >= 0 ? `Diverged at step ${divergedAt}` : "Diverged",
    };
    const parts = [message ? words(message) : states[state] ?? state];
    if (state === "compiling") parts.push(`${Math.round(seconds)} s`);
    else if (frame) {
      parts.push(`epoch ${frame.epoch}`, `step ${frame.step}`);
      for (const name of losses) {
        const value = frame.latest?.[name];
        if (value !== undefined) parts.push(`${lossName(name)} ${short(value)}`);
      }
      if (state === "running" && frame.steps_per_second) parts.push(`${Math.round(frame.steps_per_second)} steps/s`);
      if (state !== "diverged" && divergedAt >= 0) parts.push(`diverged at step ${divergedAt}`);
    }
    this.say(parts.join(" · "));
  }

  clear() {
    this.verdict("verdict", "", "Not started");
    write(byId("verdict-text"), "Press Start, or Space, to train.");
    for (const name of ["w1", "floor", "tv", "modes", "frechet", "factor", "residual"]) write(byId(`metric-${name}`), "–");
    this.rival(null);
    byId("lane-panel").hidden = true;
  }

  verdict(id, name, without) {
    const node = byId(id);
    node.dataset.verdictColour = name;
    write(node, name ? words(name) : without);
  }

  show(frame) {
    const { verdict, metrics } = frame;
    if (verdict) {
      this.verdict("verdict", verdict);
      write(byId("verdict-text"), this.schema.verdicts[verdict] ?? "");
    }
    if (metrics) {
      write(byId("metric-w1"), short(metrics.w1_over_std));
      write(byId("metric-floor"), Number.isFinite(metrics.w1_over_floor) ? `${short(metrics.w1_over_floor)} ×` : "–");
      write(byId("metric-tv"), Number.isFinite(metrics.tv) ? `${short(100 * metrics.tv)} %` : "–");
      const { modes_covered: covered, num_modes: modes } = metrics;
      write(byId("metric-modes"), modes ? `${covered} of ${modes}` : "–");
      byId("metric-modes").parentElement.hidden = metrics.frechet_over_floor !== undefined;
      const ofSignals = { frechet: [metrics.frechet_over_floor, " ×"], factor: [metrics.factor_w1, ""], residual: [metrics.off_manifold, " ×"] };
      for (const [name, [value, unit]] of Object.entries(ofSignals)) {
        byId(`metric-${name}`).parentElement.hidden = value === undefined;
        write(byId(`metric-${name}`), Number.isFinite(value) ? `${short(value)}${unit}` : "–");
      }
    }
    this.rival(frame.rival);
    byId("lane-panel").hidden = !frame.lanes_verdict;
    if (frame.lanes_verdict) this.lanes(frame);
  }

  /** The other model's outcome, in a line. */
  rival(frame) {
    byId("rival-outcome").hidden = !frame;
    byId("rival-shares").hidden = byId("rival-rate").hidden = !frame?.lanes_learned;
    if (!frame) return;
    const { verdict, metrics } = frame;
    this.verdict("rival-verdict", verdict ?? "", "Not started");
    const modes = metrics.num_modes ? `, ${metrics.modes_covered} of ${metrics.num_modes} modes` : "";
    write(byId("rival-metrics"), `W₁/σ ${short(metrics.w1_over_std)}, TV ${short(100 * metrics.tv)} %${modes}`);
    if (frame.lanes_learned) {
      this.shares("rival-shares", frame.lanes_verdict);
      this.rate("rival-rate", "B", frame);
    }
  }

  rate(id, side, { lanes_learned: rate, lanes_verdict: names }) {
    write(byId(id), `${side}: ${rate.count} of ${names.length} runs have learned it, ${share(rate)}`);
  }

  lanes(frame) {
    const { lanes_verdict: names, lanes_w1: distances, lane } = frame;
    this.shares("lane-shares", names);
    this.rate("lane-rate", frame.rival ? "A" : "If training ended now", frame);
    const place = byId("lane-buttons");
    if (place.children.length !== names.length) {
      place.replaceChildren(...names.map((_, number) => {
        const button = Object.assign(document.createElement("button"), { type: "button" });
        button.dataset.lane = number;
        button.addEventListener("click", () => this.onLane(number));
        return button;
      }));
    }
    names.forEach((name, number) => {
      const button = place.children[number];
      const label = `Seed ${number + 1}: ${words(name).toLowerCase()}, W1/σ ${short(distances?.[number])}`;
      button.dataset.verdictColour = name;
      write(button, LETTERS[name] ?? "?");
      if (button.title !== label) {
        button.title = label;
        button.setAttribute("aria-label", label);
      }
      button.setAttribute("aria-pressed", number === lane);
    });
  }

  shares(id, names) {
    const counts = new Map();
    for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
    const known = Object.keys(LETTERS).filter((name) => counts.has(name));
    const spans = known.map((name) => {
      const span = document.createElement("span");
      span.textContent = `${LETTERS[name]} ${counts.get(name)} · ${words(name)}`; // The end is cut where there is no room.
      span.title = `${words(name)}: ${counts.get(name)} of ${names.length}`;
      span.dataset.verdictColour = name;
      span.style.flex = `${counts.get(name)} 1 0`;
      return span;
    });
    byId(id).replaceChildren(...spans);
  }
}
