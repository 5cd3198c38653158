// When plots are drawn: with the newest data only, when the browser is ready, and only where they can be seen.

import { draw } from "./chart.js";
import { captions, FIGURES, OF_EACH } from "./figures.js";

const REDUCED_INTERVAL = 500;
/** Milliseconds of drawing in one go; plots that do not fit take their turn in the next one. */
const BUDGET = 30;

const byId = (id) => document.getElementById(id);

export const reducedMotion = window.matchMedia("(prefers-reduced-motion: reduce)");

/** A copy of a card, for the other model. */
function twin(name) {
  const card = byId(`card-${name}`);
  const copy = card.cloneNode(true);
  copy.id += "-b";
  copy.hidden = true;
  copy.querySelector(".side").textContent = "B";
  for (const node of copy.querySelectorAll("[id]")) node.id += "-b";
  const plot = copy.querySelector(".plot");
  plot.setAttribute("aria-label", `${plot.getAttribute("aria-label")}, of model B`);
  card.after(copy);
}

export class Board {
  /**
   * @param {() => object} model gives what the figures show; `configured` in it is null before there is anything, and
   *   `other` is the model that it is compared with, or null
   */
  constructor(model) {
    this.model = model;
    OF_EACH.forEach(twin);
    const all = [...Object.keys(FIGURES).map((name) => [name, ""]), ...OF_EACH.map((name) => [name, "-b"])];
    this.cards = all.map(([name, suffix]) => ({
      name,
      isOther: suffix !== "",
      card: byId(`card-${name}${suffix}`),
      plot: byId(`plot-${name}${suffix}`),
      caption: byId(`${name}-caption${suffix}`),
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
    this.nextAt = now + Math.max(2 * took, reducedMotion.matches ? REDUCED_INTERVAL : 0);
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
    const texts = { false: captions(model), true: model.other && captions(model.other) };
    // Each time begins where the last one ended, so that no plot falls behind the others.
    const order = [...this.cards.slice(this.turn), ...this.cards.slice(0, this.turn)];
    for (const item of order) {
      if (!item.stale) continue;
      if (performance.now() > deadline) {
        this.turn = this.cards.indexOf(item);
        this.request();
        return;
      }
      const shown = item.isOther ? model.other : model;
      const figure = shown && FIGURES[item.name](shown);
      item.card.hidden = !figure;
      if (!figure || !(item.visible || everywhere)) continue;
      const text = texts[item.isOther][item.name];
      if (item.caption && item.caption.textContent !== text) item.caption.textContent = text;
      draw(item.plot, figure);
      item.stale = false;
    }
    document.body.dataset.drawn = model.frame?.step ?? 0;
  }
}
