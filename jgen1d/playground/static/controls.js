// The settings' form: built from the schema, shows a settings object and reports every change to it.

import { Drawing } from "./draw.js";
import { makeField, whenTyped } from "./fields.js";
import {
  baseValues, isOffered, isOfSignals, methodNames, methodOf, modelName, pairsOf, presetNames, startOf, withTarget,
} from "./settings.js";
import { Upload } from "./upload.js";
import { words } from "./words.js";

const NUMBERS = ["batch_size", "num_steps", "seed"];

const byId = (id) => document.getElementById(id);

/** Only these options of a list can be chosen, and are seen. */
function allow(select, isAllowed) {
  for (const option of select.options) option.hidden = option.disabled = !isAllowed(option.value);
}

function group(label, options) {
  const found = Object.assign(document.createElement("optgroup"), { label });
  found.append(...options);
  return found;
}

/** What a teacher reaches for first; the other hyper-parameters are in the collapsed list. */
function isMain({ name, kind }) {
  return kind === "widths" || /^network|coder$/.test(name) || name === "latent_dim" || name.startsWith("learning_rate") || /(^|_)loss$/.test(name);
}

export class Controls {
  /**
   * @param {object} schema the server's
   * @param {object} settings the first ones
   * @param {(settings: object) => void} onChange called with new settings, whenever the user changes them
   * @param {(message: object) => void} send for uploads
   */
  constructor(schema, settings, onChange, send) {
    this.schema = schema;
    this.onChange = onChange;
    this.setters = {};
    this.shownMethod = null;
    this.fillSelects();
    this.drawing = new Drawing(byId("drawn"), byId("drawn-clear"), schema.drawing, (drawn) => this.update({ drawn }));
    this.upload = new Upload(schema.limits.upload_bytes, send, (text) => this.showError("data", text));
    this.connect();
    this.show(settings);
  }

  fillSelects() {
    const { targets, signals, methods, limits } = this.schema;
    for (const name of targets) byId("target").add(new Option(words(name), name));
    byId("target").append(group("Signals", signals.targets.map((name) => new Option(words(name), name))));
    byId("target").add(new Option("My data…", "data"));
    byId("target").add(new Option("Draw my own", "drawn"));
    const { first, others } = methodNames(this.schema);
    for (const name of first) byId("method").add(new Option(words(methods[name].label), name));
    if (others.length) {
      byId("method").append(group("More models", others.map((name) => new Option(words(methods[name].label), name))));
    }
    const sizes = [...limits.dataset_sizes].sort((one, other) => (one || Infinity) - (other || Infinity));
    for (const size of sizes) byId("dataset_size").add(new Option(size || "unlimited", size));
    for (const name of ["batch_size", "num_steps"]) [byId(name).min, byId(name).max] = limits[name];
    const all = [...new Set([...limits.lanes, ...signals.lanes])].sort((one, other) => one - other);
    for (const lanes of all) byId("lanes").add(new Option(lanes === 1 ? "1 run" : `${lanes} runs, one a seed`, lanes));
  }

  connect() {
    byId("settings").addEventListener("submit", (event) => event.preventDefault());
    byId("target").addEventListener("change", (event) => this.chooseTarget(event.target.value));
    byId("method").addEventListener("change", (event) => {
      this.update(startOf(this.schema, { method: event.target.value, target: this.settings.target }));
    });
    byId("preset").addEventListener("change", (event) => this.update({ preset: event.target.value, fields: {} }));
    byId("dataset_size").addEventListener("change", (event) => {
      this.update({ dataset_size: Number(event.target.value) });
    });
    byId("lanes").addEventListener("change", (event) => {
      this.update({ lanes: Number(event.target.value) });
    });
    byId("rival").addEventListener("change", (event) => this.chooseRival(event.target.value));
    for (const name of NUMBERS) this.setters[name] = whenTyped(byId(name), (value) => this.changeNumber(name, value));
  }

  chooseTarget(target) {
    const change = { target };
    if (target === "drawn") change.drawn = this.settings.drawn ?? this.drawing.heights;
    if (target === "data" && !this.settings.data) {
      // Nothing to train on yet: the old target stays until a file has arrived.
      this.showTarget("data");
      byId("data").focus();
      return;
    }
    this.update(change);
  }

  /** With what the present model is compared: a ready-made one, or itself as it is now, to be changed then. */
  chooseRival(choice) {
    const { method, preset, fields } = choice === "kept" ? this.settings : pairsOf(this.schema, this.settings)[choice] ?? {};
    this.update({ rival: method ? { method, preset, fields: { ...fields } } : null });
  }

  showRival(settings) {
    const { rival, target } = settings;
    const select = byId("rival");
    const pairs = pairsOf(this.schema, settings);
    const same = (pair) => ["method", "preset", "fields"].every((name) => JSON.stringify(pair[name]) === JSON.stringify(rival[name]));
    const known = rival ? pairs.findIndex(same) : -1;
    const own = rival && known < 0 ? [new Option(modelName(this.schema, { ...rival, target }), "own")] : [];
    select.replaceChildren(
      new Option("nothing", ""), ...own, ...pairs.map(({ label }, index) => new Option(label, index)),
      new Option("this model as it is now", "kept"),
    );
    select.value = rival ? (known < 0 ? "own" : known) : "";
  }

  changeNumber(name, value) {
    if (/^\d+$/.test(value)) this.update({ [name]: Number(value) });
    else this.showError(name, "Enter a whole number.");
  }

  changeField(name, value) {
    const changed = { ...this.settings.fields, [name]: value };
    if (value === baseValues(this.schema, this.settings)[name]) delete changed[name];
    this.update({ fields: changed });
  }

  update(change) {
    const more = change.target ? withTarget(this.schema, this.settings, change.target) : {};
    const settings = { ...this.settings, ...more, ...change };
    this.show(settings);
    this.onChange(settings);
  }

  /** Shows settings without reporting them. What is being typed stays as it is. */
  show(settings) {
    this.settings = settings;
    const { target } = settings;
    const ofSignals = isOfSignals(this.schema, settings);
    allow(byId("method"), (method) => isOffered(this.schema, { method, target }));
    allow(byId("lanes"), (lanes) => (ofSignals ? this.schema.signals : this.schema.limits).lanes.includes(Number(lanes)));
    byId("method").value = settings.method;
    const shown = `${settings.method} ${ofSignals}`;
    if (this.shownMethod !== shown) this.buildMethod(settings);
    this.shownMethod = shown;
    byId("preset").value = settings.preset;
    this.showTarget(settings.target);
    const size = byId("dataset_size");
    if (![...size.options].some((option) => Number(option.value) === settings.dataset_size)) {
      size.add(new Option(settings.dataset_size, settings.dataset_size));
    }
    size.value = settings.dataset_size;
    byId("lanes").value = settings.lanes;
    this.showRival(settings);
    if (settings.drawn) this.drawing.show(settings.drawn);
    const values = { ...baseValues(this.schema, settings), ...settings.fields };
    for (const name of NUMBERS) values[name] = settings[name];
    for (const [name, value] of Object.entries(values)) {
      const input = byId(`field-${name}`) ?? byId(name);
      if (input && input !== document.activeElement) this.setters[name]?.(value);
    }
  }

  showTarget(target) {
    byId("target").value = target;
    byId("upload").hidden = target !== "data";
    byId("drawing").hidden = target !== "drawn";
    if (target === "drawn") this.drawing.paint();
  }

  buildMethod(settings) {
    const presets = presetNames(this.schema, settings);
    byId("preset").replaceChildren(...presets.map((name) => new Option(name.replaceAll("_", " "), name)));
    this.setters = Object.fromEntries(NUMBERS.map((name) => [name, this.setters[name]]));
    const places = { true: byId("main-fields"), false: byId("more-fields") };
    Object.values(places).forEach((place) => place.replaceChildren());
    for (const field of methodOf(this.schema, settings).fields) {
      const main = isMain(field);
      const { node, set } = makeField(field, !main, (value) => this.changeField(field.name, value));
      places[main].append(node);
      this.setters[field.name] = set;
    }
    byId("more").hidden = !places.false.hasChildNodes();
  }

  showError(name, message) {
    const error = byId(`error-${name}`) ?? byId("error-general");
    const input = byId(`field-${name}`) ?? (name && byId(name));
    error.textContent = message;
    error.hidden = false;
    if (!input) return;
    input.setAttribute("aria-invalid", "true");
    const described = new Set((input.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean));
    input.setAttribute("aria-describedby", [...described.add(error.id)].join(" "));
    for (let at = input.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
  }

  clearErrors() {
    for (const error of document.querySelectorAll(".error:not([hidden])")) {
      error.hidden = true;
      const input = document.querySelector(`[aria-invalid][aria-describedby~="${error.id}"]`);
      input?.removeAttribute("aria-invalid");
    }
  }
}
