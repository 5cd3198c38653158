// Ready-made lessons: a button loads settings and starts; where there is a cure, a second button does the same with it.

const byId = (id) => document.getElementById(id);

export class Phenomena {
  /** @param {(settings: object) => void} play loads settings and starts training */
  constructor(phenomena, play) {
    this.play = play;
    for (const phenomenon of phenomena) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: phenomenon.label });
      button.dataset.phenomenon = phenomenon.id;
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => this.choose(phenomenon, button));
      byId("phenomena").append(button);
    }
    byId("cure").addEventListener("click", () => {
      this.play(this.chosen.cure.settings);
      byId("cure").setAttribute("aria-pressed", "true");
    });
  }

  choose(phenomenon, button) {
    this.play(phenomenon.settings);
    this.chosen = phenomenon;
    button.setAttribute("aria-pressed", "true");
    byId("phenomenon").hidden = false;
    byId("phenomenon-text").textContent = phenomenon.text;
    byId("cure").hidden = !phenomenon.cure;
    byId("cure").textContent = phenomenon.cure?.label ?? "";
  }

  /** The settings are no longer those of a button; the text stays, to be read. */
  release() {
    for (const button of document.querySelectorAll(".phenomena [aria-pressed]")) {
      button.setAttribute("aria-pressed", "false");
    }
  }
}
