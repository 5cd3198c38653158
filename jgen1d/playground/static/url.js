// The settings in the address: `#method=gan&target=bimodal&r1=none`. Fields stand beside the settings, by their names,
// and a small file's numbers with them.

import { complete, defaultSettings } from "./settings.js";

const NUMBERS = ["batch_size", "dataset_size", "seed", "num_steps", "lanes"];
const TEXTS = ["method", "preset", "target"];
const FILE = ["file", "column", "values"];
const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** A drawing's heights are whole numbers up to this, so that each of them is one character of the link. */
export const TALLEST = DIGITS.length - 1;

/** Heights on any scale as whole numbers from 0 to TALLEST. */
export function wholeHeights(heights) {
  const top = Math.max(...heights);
  const whole = heights.every((height) => Number.isInteger(height)) && top <= TALLEST;
  return whole || !(top > 0) ? [...heights] : heights.map((height) => Math.round((height / top) * TALLEST));
}

/** @param {object} uploaded the server's message about the file that the settings name, if there is one */
export function toHash(schema, settings, uploaded) {
  const plain = defaultSettings(schema, settings.target);
  const query = new URLSearchParams({ method: settings.method, preset: settings.preset, target: settings.target });
  if (settings.target === "data" && uploaded?.id === settings.data && uploaded?.values) {
    for (const name of FILE) if (uploaded[name] !== null) query.set(name, uploaded[name]);
  }
  if (settings.target === "drawn" && settings.drawn) {
    query.set("drawn", wholeHeights(settings.drawn).map((height) => DIGITS[height]).join(""));
  }
  for (const name of NUMBERS) {
    if (settings[name] !== plain[name]) query.set(name, settings[name]);
  }
  for (const [name, value] of Object.entries(settings.fields)) query.set(name, value);
  if (settings.rival) {
    const { method, preset, fields } = settings.rival;
    query.set("rival", [method, preset, ...Object.entries(fields).map((pair) => pair.join(":"))].join(","));
  }
  return `#${query}`;
}

export function fromHash(schema, hash) {
  const partial = { fields: {} };
  for (const [name, value] of new URLSearchParams(hash.replace(/^#/, ""))) {
    if (TEXTS.includes(name)) partial[name] = value;
    else if (NUMBERS.includes(name)) {
      if (/^\d+$/.test(value)) partial[name] = Number(value);
    } else if (name === "drawn") {
      const heights = [...value].map((digit) => DIGITS.indexOf(digit));
      if (heights.length === schema.drawing.count && heights.every((height) => height >= 0)) partial.drawn = heights;
    } else if (name === "rival") {
      const [method, preset, ...fields] = value.split(",");
      partial.rival = { method, preset, fields: Object.fromEntries(fields.map((field) => field.split(/:(.*)/s).slice(0, 2))) };
    } else if (!FILE.includes(name)) partial.fields[name] = value;
  }
  return complete(schema, partial);
}

/** The file in an address, as the arguments of `Upload.take`; null where there is none. */
export function fileFromHash(hash) {
  const query = new URLSearchParams(hash.replace(/^#/, ""));
  const values = query.get("values");
  if (query.get("target") !== "data" || !values) return null;
  const column = query.get("column");
  // Where an index names the column, others stand before it.
  const isIndex = /^\d{1,3}$/.test(column ?? "");
  const before = isIndex ? "0,".repeat(column) : "";
  const header = column && !isIndex ? [column] : [];
  const rows = values.split(",").map((number) => before + number);
  return [query.get("file") ?? "data.csv", column, [...header, ...rows].join("\n")];
}
