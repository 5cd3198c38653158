// The settings object, as the server and the link know it: what it starts as, and how any other one is completed.

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

export function defaultSettings(schema) {
  const method = methodNames(schema).first[0] ?? Object.keys(schema.methods)[0];
  return {
    method,
    preset: presetNames(schema, method)[0],
    fields: {},
    target: schema.targets.includes("bimodal") ? "bimodal" : schema.targets[0],
    drawn: null,
    data: null,
    batch_size: 256,
    dataset_size: 0,
    seed: 0,
    num_steps: 5000,
    lanes: 1,
  };
}

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
  return settings;
}

function onlyChanged(schema, { method, preset, fields }) {
  const base = baseValues(schema, method, preset);
  return Object.fromEntries(
    Object.entries(fields ?? {}).filter(([name, value]) => name in base && String(value) !== base[name]),
  );
}

/** A field's or a preset's machine name as words: `learning_rate_g` → `Learning rate G`. */
export function words(name) {
  const text = name.replace(/_([gd])$/, (_, player) => ` ${player.toUpperCase()}`).replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function lossName(name) {
  return { loss_g: "loss of G", loss_d: "loss of D" }[name] ?? name.replaceAll("_", " ");
}
