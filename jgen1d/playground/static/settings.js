// The settings object, as the server and the link know it: what it starts as, and how any other one is completed.

import { words } from "./words.js";

export function methodNames(schema) {
  const known = Object.keys(schema.methods);
  const first = schema.first_methods;
  return { first, others: known.filter((name) => !first.includes(name)) };
}

/** Whether the target's rows are signals: of these there are other families, networks and presets. */
export const isOfSignals = (schema, { target }) => schema.signals.targets.includes(target);

/** What is offered of a method on a target; of signals the fields that columns do not have come first. */
export function methodOf(schema, { method, target }) {
  const base = schema.methods[method];
  const own = isOfSignals(schema, { target }) && schema.signals.methods[method];
  if (!own) return base;
  const values = Object.keys(own.preset_values).map((name) => [name, { ...base.preset_values[name], ...own.preset_values[name] }]);
  return { ...base, ...own, fields: [...own.fields, ...base.fields], preset_values: Object.fromEntries(values) };
}

export function presetNames(schema, model) {
  const { presets } = methodOf(schema, model);
  return presets.length ? presets : ["default"];
}

/** The model that a method begins as on a target. */
export function startOf(schema, { method, target }) {
  const own = isOfSignals(schema, { target }) && schema.signals.methods[method];
  return own ? structuredClone(own.start) : { method, preset: presetNames(schema, { method, target })[0], fields: {} };
}

/** All that changes with the target: from numbers to signals, or back, the model and the run, too. */
export function withTarget(schema, settings, target) {
  if (isOfSignals(schema, settings) === isOfSignals(schema, { target })) return { target };
  const { batch_size, num_steps, lanes, rival, method: usual } = defaultSettings(schema, target);
  const method = isOffered(schema, { ...settings, target }) ? settings.method : usual;
  return { target, batch_size, num_steps, lanes, rival, ...startOf(schema, { method, target }) };
}

/** Whether the method learns such a target. */
export function isOffered(schema, { method, target }) {
  return Object.hasOwn((isOfSignals(schema, { target }) ? schema.signals : schema).methods, method);
}

/** Every field's value, as text, where the settings say nothing about it. */
export function baseValues(schema, model) {
  const { fields, preset_values: presets = {} } = methodOf(schema, model);
  const defaults = Object.fromEntries(fields.map((field) => [field.name, field.default]));
  return { ...defaults, ...presets[model.preset] };
}

export function defaultSettings(schema, target) {
  return structuredClone({ ...schema.first, ...(isOfSignals(schema, { target }) && schema.signals.first) });
}

/** Fills gaps with the defaults, and drops what the schema does not know, such as an old link's fields. */
export function complete(schema, partial) {
  const settings = defaultSettings(schema, partial.target);
  for (const name of Object.keys(settings)) {
    if (partial[name] !== undefined) settings[name] = partial[name];
  }
  const others = ["data", ...(settings.drawn ? ["drawn"] : [])];
  const targets = [...schema.targets, ...schema.signals.targets, ...others];
  if (!targets.includes(settings.target)) settings.target = schema.first.target;
  if (!isOffered(schema, settings)) settings.method = schema.first.method;
  if (!presetNames(schema, settings).includes(settings.preset) || partial.preset === undefined) {
    const { preset, fields } = startOf(schema, settings);
    Object.assign(settings, { preset, fields: { ...fields, ...settings.fields } });
  }
  settings.fields = onlyChanged(schema, settings);
  if (settings.rival) settings.rival = completeRival(schema, settings.rival, settings.target);
  return settings;
}

/** The model to compare with, or null where the schema does not know it. */
function completeRival(schema, { method, preset, fields }, target) {
  if (!isOffered(schema, { method, target })) return null;
  const presets = presetNames(schema, { method, target });
  const known = { method, preset: presets.includes(preset) ? preset : presets[0], fields };
  return { ...known, fields: onlyChanged(schema, { ...known, target }) };
}

/** Ready-made models to compare with: of signals those that the families begin as. */
export function pairsOf(schema, settings) {
  if (!isOfSignals(schema, settings)) return schema.pairs;
  return Object.values(schema.signals.methods).map(({ start }) => ({ label: words(schema.methods[start.method].label), ...start }));
}

/** A model in a few words. */
export function modelName(schema, model) {
  const { method, preset, fields } = model;
  const changes = Object.entries(fields).map(([name, value]) => `${words(name).toLowerCase()} ${value}`);
  const chosen = presetNames(schema, model).length > 1 ? [preset.replaceAll("_", " ")] : [];
  return [words(schema.methods[method].label), ...chosen, ...changes].join(", ");
}

function onlyChanged(schema, model) {
  const base = baseValues(schema, model);
  return Object.fromEntries(
    Object.entries(model.fields ?? {}).filter(([name, value]) => name in base && String(value) !== base[name]),
  );
}
