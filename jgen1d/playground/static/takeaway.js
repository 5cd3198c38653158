// What a user takes along: the command, the code, a picture of the plots, the history.

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

function loaded(url) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("The picture of a plot could not be read."));
    image.src = url;
  });
}

async function picture() {
  const cards = [...document.querySelectorAll(".plots figure")];
  const shown = cards.filter((card) => !card.hidden && card.querySelector(".plot:not([hidden]) .main-svg"));
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
  for (const [index, card] of shown.entries()) {
    const left = GAP + (index % columns) * (WIDTH + GAP);
    const top = GAP + HEADING + Math.floor(index / columns) * (HEIGHT + TITLE + GAP);
    const url = await Plotly.toImage(card.querySelector(".plot"), { format: "png", width: WIDTH, height: HEIGHT });
    pen.fillText(card.querySelector("h3").textContent, left + 6, top + 22);
    pen.drawImage(await loaded(url), left, top + TITLE);
  }
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/**
 * @param {{settings: object, history: import("./history.js").History}} playground what is exported
 * @param {import("./board.js").Board} board whose plots are in the picture
 */
export function connectTakeaway(playground, board) {
  byId("copy-command").addEventListener("click", () => copy("command"));
  byId("copy-python").addEventListener("click", () => copy("python"));
  byId("export-picture").addEventListener("click", async () => {
    board.drawAll();
    download(await picture(), "jgen1d.png");
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
