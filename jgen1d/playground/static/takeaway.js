// What a user takes along: the command, the code, a picture of the plots, the history, a replay.

import { copyTo, isDrawn } from "./chart.js";
import { colours } from "./look.js";

const WIDTH = 620;
const HEIGHT = 360;
const GAP = 16;
const TITLE = 34;
const HEADING = 30;
const COLUMNS = 3;

const byId = (id) => document.getElementById(id);

function download(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function copy(name) {
  const note = byId("copied");
  const source = byId(name);
  try {
    await navigator.clipboard.writeText(source.textContent);
    note.textContent = "Copied.";
  } catch {
    // No permission, or a page that is not served securely: select the text, ready for the user's own copy key.
    source.closest("details").open = true;
    getSelection().selectAllChildren(source);
    note.textContent = "Selected below: press Ctrl+C (or ⌘C) to copy.";
  }
}

function picture() {
  const cards = [...document.querySelectorAll(".plots figure")];
  const shown = cards.filter((card) => !card.hidden && isDrawn(card.querySelector(".plot:not([hidden])")));
  const { surface, text } = colours();
  const canvas = document.createElement("canvas");
  const columns = Math.min(COLUMNS, shown.length);
  canvas.width = columns * (WIDTH + GAP) + GAP;
  canvas.height = Math.ceil(shown.length / columns) * (HEIGHT + TITLE + GAP) + GAP + HEADING;
  const pen = canvas.getContext("2d");
  pen.fillStyle = surface;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = text;
  pen.font = "600 20px system-ui, sans-serif";
  const chosen = ["method", "preset", "target"].map((id) => byId(id).selectedOptions[0].textContent);
  const heading = [...chosen, `step ${document.body.dataset.step}`, byId("verdict").textContent].join(" · ");
  pen.fillText(heading, GAP + 6, GAP + 18);
  shown.forEach((card, index) => {
    const left = GAP + (index % columns) * (WIDTH + GAP);
    const top = GAP + HEADING + Math.floor(index / columns) * (HEIGHT + TITLE + GAP);
    pen.font = "600 20px system-ui, sans-serif";
    pen.fillStyle = text;
    pen.textAlign = "left";
    pen.textBaseline = "alphabetic";
    pen.fillText(card.querySelector("h3").innerText, left + 6, top + 22);
    pen.save();
    pen.translate(left, top + TITLE);
    copyTo(pen, card.querySelector(".plot"), WIDTH, HEIGHT);
    pen.restore();
  });
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

const MODULES = ["words", "look", "chart", "figures", "model", "replay"];
const STYLES = ["style", "controls", "results"];

const read = (name) => fetch(`/static/${name}`).then((answer) => answer.text());

/** The replay in one file: its modules share one scope, for a file cannot import from another. */
async function replay(recording) {
  const [page, theme] = await Promise.all([read("replay.html"), read("theme.js")]);
  const code = await Promise.all(MODULES.map((name) => read(`${name}.js`)));
  const styles = await Promise.all(STYLES.map((name) => read(`${name}.css`)));
  const whole = code.join("\n").replace(/^import .*;\n/gm, "").replace(/^export /gm, "");
  // What users have named must not end the element that it stands in.
  const parts = { styles: styles.join("\n"), theme, recording: JSON.stringify(recording).replaceAll("<", "\\u003c"), code: whole };
  return page.replace(/\/\*(\w+)\*\//g, (_, name) => parts[name]);
}

/**
 * @param {{settings: object, history: object, recording: object}} playground what is exported
 * @param {import("./board.js").Board} board whose plots are in the picture
 */
export function connectTakeaway(playground, board) {
  byId("copy-command").addEventListener("click", () => copy("command"));
  byId("copy-python").addEventListener("click", () => copy("python"));
  byId("export-picture").addEventListener("click", async () => {
    board.drawAll();
    download(await picture(), "jgen1d.png");
  });
  byId("export-replay").addEventListener("click", async () => {
    download(new Blob([await replay(playground.recording)], { type: "text/html" }), "jgen1d-replay.html");
  });
  byId("export-history").addEventListener("click", () => {
    const text = JSON.stringify({ settings: playground.settings, history: playground.history });
    download(new Blob([text], { type: "application/json" }), "jgen1d-history.json");
  });
  byId("export-csv").addEventListener("click", () => {
    download(new Blob([playground.history.toCSV()], { type: "text/csv" }), "jgen1d-history.csv");
  });
}

export function showSource({ command, python }) {
  const texts = {
    command: [command, "No command trains these runs: see the Python code below."],
    python: [python, "These settings have no code."],
  };
  for (const [name, [text, missing]] of Object.entries(texts)) {
    byId(name).textContent = text ?? missing;
    byId(`copy-${name}`).disabled = !text;
  }
  byId("copied").textContent = "";
}
