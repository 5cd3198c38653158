// Ready-made lessons: buttons that load settings and start. A phenomenon is a tour in three steps, with what cures it;
// an experiment asks a question of two models, and the page's own seeds answer it.

import { short } from "./words.js";

const STEPS = ["What you will see", "What happens", "What cures it"];

const byId = (id) => document.getElementById(id);

export class Lessons {
  /** @param {(settings: object) => void} play loads settings and starts training */
  constructor({ phenomena, experiments, hints }, play) {
    this.play = play;
    this.addButtons("phenomena", phenomena);
    this.addButtons("experiments", experiments);
    addHints(hints);
    byId("cure").addEventListener("click", () => {
      this.play(this.chosen.cure.settings);
      byId("cure").setAttribute("aria-pressed", "true");
      this.go(STEPS.length - 1);
    });
    byId("tour-back").addEventListener("click", () => this.go(this.at - 1));
    byId("tour-next").addEventListener("click", () => this.go(this.at + 1));
  }

  addButtons(place, lessons) {
    for (const lesson of lessons) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: lesson.label });
      button.dataset[place === "phenomena" ? "phenomenon" : "experiment"] = lesson.id;
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => this.choose(lesson, button));
      byId(place).append(button);
    }
  }

  choose(lesson, button) {
    this.play(lesson.settings);
    this.chosen = lesson;
    button.setAttribute("aria-pressed", "true");
    byId("lesson").hidden = false;
    byId("tour").hidden = byId("cure").hidden = !lesson.tour;
    byId("answer").textContent = "";
    byId("measured").hidden = !lesson.measured;
    byId("measured").open = false;
    if (lesson.tour) {
      byId("cure").textContent = lesson.cure.label;
      this.go(0);
    } else {
      byId("lesson-title").textContent = "The question";
      byId("lesson-text").textContent = lesson.question;
      byId("measured-text").textContent = lesson.measured;
      byId("answer").textContent = "Watch the seeds of A and B: they answer when they have ended.";
    }
  }

  go(step) {
    this.at = step;
    byId("lesson-title").textContent = `${step + 1} of ${STEPS.length} · ${STEPS[step]}`;
    byId("lesson-text").textContent = this.chosen.tour[step];
    byId("tour-back").disabled = step === 0;
    byId("tour-next").disabled = step === STEPS.length - 1;
  }

  /** The settings are no longer those of a button; the text stays, to be read. */
  release() {
    for (const button of document.querySelectorAll(".lessons [aria-pressed]")) button.setAttribute("aria-pressed", "false");
    if (this.chosen && !this.chosen.tour) byId("answer").textContent = "";
  }

  /** The run has ended: says what the seeds of an experiment did. */
  ended(frame) {
    const asked = document.querySelector("#experiments [aria-pressed=true]");
    if (!asked || !frame?.rival?.lanes_learned) return;
    const sides = [["A", frame], ["B", frame.rival]].map(([side, { lanes_learned: rate, lanes_w1: distances }]) => {
      const middle = median(distances.filter(Number.isFinite));
      return `${side} learned it in ${rate.count} of ${distances.length} seeds (${share(rate)}), with a median W₁/σ of ${short(middle, 2)}`;
    });
    byId("answer").textContent = `${sides.join("; ")}.`;
    byId("measured").open = true;
  }
}

/** A rate with its interval. */
export function share({ share: one, low, high }) {
  const [middle, ...ends] = [one, low, high].map((value) => Math.round(100 * value));
  return `${middle} % [${ends.join("–")}]`;
}

function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted.length ? (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2 : NaN;
}

/** A "?" on each plot. */
function addHints(hints) {
  for (const [name, text] of Object.entries(hints)) {
    const title = document.querySelector(`#card-${name} h3`);
    const hint = Object.assign(document.createElement("details"), { className: "hint" });
    const mark = Object.assign(document.createElement("summary"), { textContent: "?" });
    mark.setAttribute("aria-label", `What to look for: ${title.textContent.trim()}`);
    const words = Object.assign(document.createElement("p"), { textContent: text });
    hint.append(mark, words);
    title.after(hint);
    hint.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      hint.open = false;
      mark.focus();
    });
  }
  document.addEventListener("click", ({ target }) => {
    for (const hint of document.querySelectorAll(".hint[open]")) if (!hint.contains(target)) hint.open = false;
  });
}
