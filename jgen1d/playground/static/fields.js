// One hyper-parameter as a labelled control. Values go in and out as the text that the library's flags take.

import { words } from "./words.js";

const SLOWEST = -5;
const FASTEST = 0;
const TYPING_PAUSE = 600;

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** Reports what is typed when it is finished, or after a pause: a half-typed number is not worth a new training. */
export function whenTyped(input, report) {
  let timer;
  let reported = input.value;
  const tell = () => {
    clearTimeout(timer);
    if (input.value === reported) return;
    reported = input.value;
    report(input.value);
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(tell, TYPING_PAUSE);
  });
  input.addEventListener("change", tell);
  return (value) => {
    reported = String(value);
    if (input.value !== reported) input.value = reported;
  };
}

function typed(field, id, report) {
  const whole = field.kind === "int" && !field.optional;
  const input = element("input", { id, type: whole ? "number" : "text", spellcheck: false });
  if (whole) input.min = field.at_least ?? "";
  else input.inputMode = field.kind === "widths" || field.optional ? "text" : "decimal";
  return { nodes: [input], set: whenTyped(input, report) };
}

function chosen(field, id, report) {
  const select = element("select", { id });
  const choices = field.kind === "bool" ? ["true", "false"] : field.choices;
  const label = { true: "yes", false: "no" };
  for (const choice of choices) {
    select.add(new Option(field.kind === "bool" ? label[choice] : choice.replaceAll("_", " "), choice));
  }
  select.addEventListener("change", () => report(select.value));
  return { nodes: [select], set: (value) => (select.value = value) };
}

function rate(field, id, report) {
  const input = element("input", { id, type: "text", inputMode: "decimal", spellcheck: false });
  const slider = element("input", { id: `${id}-slider`, type: "range", min: SLOWEST, max: FASTEST, step: 0.05 });
  slider.setAttribute("aria-label", `${words(field.name)}, slider`);
  const place = (value) => {
    const exponent = Math.log10(Number(value));
    slider.value = Number.isFinite(exponent) ? exponent : SLOWEST;
    slider.setAttribute("aria-valuetext", value);
  };
  const write = whenTyped(input, (value) => {
    place(value);
    report(value);
  });
  slider.addEventListener("input", () => {
    const value = String(Number((10 ** Number(slider.value)).toPrecision(2)));
    write(value);
    slider.setAttribute("aria-valuetext", value);
    report(value);
  });
  const set = (value) => {
    write(value);
    place(value);
  };
  return { nodes: [element("div", { className: "slider-row" }, slider, input)], set };
}

function widths(field, id, report) {
  const text = element("input", { id, type: "text", spellcheck: false });
  const layers = element("input", { id: `${id}-layers`, type: "number", min: 0, max: field.max_layers, step: 1 });
  const units = element("input", { id: `${id}-units`, type: "number", min: 1, max: field.max_units, step: 1 });
  const describe = (value) => {
    const list = value === "" ? [] : value.split("-");
    layers.value = list.length;
    if (list.length) units.value = list.every((width) => width === list[0]) ? list[0] : "";
  };
  const write = whenTyped(text, (value) => {
    describe(value);
    report(value);
  });
  const combine = () => {
    const count = Math.min(Math.max(Math.round(Number(layers.value)) || 0, 0), field.max_layers);
    const value = Array(count).fill(units.value || "32").join("-");
    if (value === text.value) return;
    write(value);
    report(value);
  };
  for (const input of [layers, units]) whenTyped(input, combine);
  const labelled = (caption, input) => element("label", {}, caption, input);
  text.setAttribute("aria-label", `${words(field.name)}, all layers`);
  const row = element("div", { className: "widths-row" }, labelled("layers", layers), labelled("units", units),
    labelled("all layers", text));
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", words(field.name));
  const set = (value) => {
    write(value);
    describe(value);
  };
  return { nodes: [row], set };
}

/** @returns {{node: HTMLElement, set: (value: string) => void}} */
export function makeField(field, showHelp, report) {
  const id = `field-${field.name}`;
  const makers = { choice: chosen, bool: chosen, widths, float: field.log && !field.optional ? rate : typed };
  const { nodes, set } = (makers[field.kind] ?? typed)(field, id, report);
  const label = field.kind === "widths"
    ? element("span", { textContent: words(field.name) })
    : element("label", { htmlFor: id, textContent: words(field.name) });
  const suffix = field.optional ? " (“none” switches it off)" : "";
  const help = element("p", {
    id: `help-${field.name}`,
    className: showHelp ? "help" : "visually-hidden",
    textContent: (field.help ?? "") + suffix,
  });
  label.title = field.help ?? "";
  const error = element("p", { id: `error-${field.name}`, className: "error", hidden: true });
  const node = element("div", { className: "field" }, label, ...nodes, help, error);
  node.querySelector(`[id="${id}"]`).setAttribute("aria-describedby", help.id);
  return { node, set };
}
