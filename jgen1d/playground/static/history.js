// The curves so far. Frames carry what is new; `from` says how many points there are before it.

const NONE = () => ({ losses: {}, bands: {}, looks: {}, w1_band: {} });

function extend(list, from, values) {
  list.length = Math.min(list.length, from);
  while (list.length < from) list.push(null);
  for (const value of values) list.push(value);
}

function append(curves, part) {
  for (const [name, values] of Object.entries(part)) {
    if (name === "from") continue;
    if (name !== "step" && Array.isArray(values[0])) {
      curves[name] ??= values.map(() => []);
      values.forEach((quantile, number) => extend(curves[name][number], part.from, quantile));
    } else if (!Array.isArray(curves[name]?.[0])) {
      // An empty part of a band is not nested; it has nothing to add.
      curves[name] ??= [];
      extend(curves[name], part.from, values);
    }
  }
}

export class History {
  constructor() {
    this.clear();
  }

  clear() {
    Object.assign(this, NONE());
  }

  append(frame) {
    for (const name of Object.keys(NONE())) {
      if (frame[name]) append(this[name], frame[name]);
      else if (name === "bands" || name === "w1_band") this[name] = {};
    }
  }

  toJSON() {
    return { losses: this.losses, bands: this.bands, looks: this.looks, w1_band: this.w1_band };
  }

  /** A row per step; cells are empty where a curve has no point at that step. */
  toCSV() {
    const rows = new Map();
    const columns = ["step"];
    for (const curves of [this.losses, this.looks]) {
      for (const [name, values] of Object.entries(curves)) {
        if (name === "step") continue;
        columns.push(name);
        curves.step.forEach((step, index) => {
          if (step === null) return;
          if (!rows.has(step)) rows.set(step, { step });
          rows.get(step)[name] = values[index];
        });
      }
    }
    const sorted = [...rows.values()].sort((one, other) => one.step - other.step);
    const lines = sorted.map((row) => columns.map((name) => row[name] ?? "").join(","));
    return `${[columns.join(","), ...lines].join("\n")}\n`;
  }
}
