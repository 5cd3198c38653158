// When plots are drawn: with the newest data only, when the browser is ready, and only where they can be seen.

import { captions, FIGURES } from "./figures.js";
import { CONFIG } from "./look.js";

const REDUCED_INTERVAL = 500;
/** Milliseconds of drawing in one go; plots that do not fit take their turn in the next one. */
const BUDGET = 30;
/** Pauses between drawings, in units of the time that a drawing took: with few cores training needs them more. */
const pause = () => (document.body.dataset.state === "running" && navigator.hardwareConcurrency <= 2 ? 4 : 1);

export const reducedMotion = window.matchMedia("(prefers-reduced-motion: reduce)");

export class Board {
  /** @param {() => object} model gives what the figures show; `configured` in it is null before there is anything */
  constructor(model) {
    this.model = model;
    this.cards = Object.keys(FIGURES).map((name) => ({
      name,
      card: document.getElementById(`card-${name}`),
      plot: document.getElementById(`plot-${name}`),
      caption: document.getElementById(`${name}-caption`),
      visible: false,
      stale: true,
    }));
    this.waiting = false;
    this.nextAt = 0;
    this.turn = 0;
    this.counted = null;
    const observer = new IntersectionObserver((entries) => this.see(entries), { rootMargin: "150px" });
    for (const { card } of this.cards) observer.observe(card);
    document.addEventListener("themechange", () => this.refresh());
  }

  see(entries) {
    for (const { target, isIntersecting } of entries) {
      this.cards.find(({ card }) => card === target).visible = isIntersecting;
    }
    this.request();
  }

  refresh() {
    for (const card of this.cards) card.stale = true;
    this.request();
  }

  request() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame((now) => this.tick(now));
  }

  tick(now) {
    if (now < this.nextAt) {
      // setTimeout rather than a chain of animation frames, which would keep the processor awake.
      setTimeout(() => requestAnimationFrame((later) => this.tick(later)), this.nextAt - now);
      return;
    }
    this.waiting = false;
    const began = performance.now();
    this.draw(reducedMotion.matches ? Infinity : began + BUDGET);
    const took = performance.now() - began;
    this.nextAt = now + Math.max((1 + pause()) * took, reducedMotion.matches ? REDUCED_INTERVAL : 0);
  }

  /** Draws all plots, also those out of sight. */
  drawAll() {
    this.draw(Infinity, true);
  }

  draw(deadline, everywhere = false) {
    const model = this.model();
    if (!model.configured) return;
    if (model.frame && model.frame !== this.counted) {
      this.counted = model.frame;
      document.body.dataset.frames = Number(document.body.dataset.frames) + 1;
    }
    const texts = captions(model);
    // Each time begins where the last one ended, so that no plot falls behind the others.
    const order = [...this.cards.slice(this.turn), ...this.cards.slice(0, this.turn)];
    for (const item of order) {
      if (!item.stale) continue;
      if (performance.now() > deadline) {
        this.turn = this.cards.indexOf(item);
        this.request();
        return;
      }
      const figure = FIGURES[item.name](model);
      item.card.hidden = figure === null;
      if (figure === null || !(item.visible || everywhere)) continue;
      if (item.caption && item.caption.textContent !== texts[item.name]) item.caption.textContent = texts[item.name];
      Plotly.react(item.plot, figure.data, figure.layout, CONFIG);
      item.stale = false;
    }
    document.body.dataset.drawn = model.frame?.step ?? 0;
  }
}
