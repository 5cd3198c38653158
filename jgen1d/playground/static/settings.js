// The settings object, as the server and the link know it: what it starts as, and how any other one is completed.

import { words } from "./words.js";

export function methodNames(schema) {
  const known = Object.keys(schema.methods);
  const first = schema.first_methods;
  return { first, others: known.filter((name) => !first.includes(name)) };
}

export function presetNames(schema, method) {
  const presets = schema.methods[method].presets ?? [];
  return presets.length ? presets : ["default"];
}

/** Every field's value, as text, where the settings say nothing about it. */
export function baseValues(schema, method, preset) {
  const { fields, preset_values: presets = {} } = schema.methods[method];
  const defaults = Object.fromEntries(fields.map((field) => [field.name, field.default]));
  return { ...defaults, ...presets[preset] };
}

export const defaultSettings = (schema) => structuredClone(schema.first);

/** Fills gaps with the defaults, and drops what the schema does not know, such as an old link's fields. */
export function complete(schema, partial) {
  const settings = { ...defaultSettings(schema) };
  for (const name of Object.keys(settings)) {
    if (partial[name] !== undefined) settings[name] = partial[name];
  }
  if (!schema.methods[settings.method]) settings.method = defaultSettings(schema).method;
  const presets = presetNames(schema, settings.method);
  if (!presets.includes(settings.preset)) settings.preset = presets[0];
  const others = ["data", ...(settings.drawn ? ["drawn"] : [])];
  if (![...schema.targets, ...others].includes(settings.target)) settings.target = defaultSettings(schema).target;
  settings.fields = onlyChanged(schema, settings);
  if (settings.rival) settings.rival = completeRival(schema, settings.rival);
  return settings;
}

/** The model to compare with, or null where the schema does not know it. */
function completeRival(schema, { method, preset, fields }) {
  if (!schema.methods[method]) return null;
  const presets = presetNames(schema, method);
  const known = { method, preset: presets.includes(preset) ? preset : presets[0], fields };
  return { ...known, fields: onlyChanged(schema, known) };
}

/** A model in a few words. */
export function modelName(schema, { method, preset, fields }) {
  const changes = Object.entries(fields).map(([name, value]) => `${words(name).toLowerCase()} ${value}`);
  const chosen = presetNames(schema, method).length > 1 ? [preset.replaceAll("_", " ")] : [];
  return [words(schema.methods[method].label), ...chosen, ...changes].join(", ");
}

function onlyChanged(schema, { method, preset, fields }) {
  const base = baseValues(schema, method, preset);
  return Object.fromEntries(
    Object.entries(fields ?? {}).filter(([name, value]) => name in base && String(value) !== base[name]),
  );
}
