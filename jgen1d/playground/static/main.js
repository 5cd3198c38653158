// The page's centre: settings go to the server, its messages to the parts of the page.

import { Board } from "./board.js";
import { Controls } from "./controls.js";
import { History } from "./history.js";
import { InverseDemo } from "./inverse.js";
import { connectKeys } from "./keys.js";
import { Outcome } from "./outcome.js";
import { Paths } from "./paths.js";
import { Phenomena } from "./phenomena.js";
import { complete } from "./settings.js";
import { Connection, throttled } from "./socket.js";
import { connectTakeaway, showSource } from "./takeaway.js";
import { fileFromHash, fromHash, toHash } from "./url.js";

const CONFIGURE_INTERVAL = 200;
const RESTING = ["idle", "finished", "diverged"];

const byId = (id) => document.getElementById(id);
const page = document.body.dataset;

const schema = await fetch("/schema.json").then((answer) => answer.json()).catch((error) => {
  byId("status").textContent = "The server does not answer. Start it, then reload this page.";
  throw error;
});
const history = new History();
let settings = fromHash(schema, location.hash);
let uploaded = null;
let configured = null;
let frame = null;
let state = "idle";
let stateMessage = "";
let training = false; // Or asked to: compiling alone does not tell, since new settings compile as well.

window.playground = {
  get settings() { return settings; },
  get history() { return history; },
};

const adversarial = () => Boolean(schema.methods[settings.method].adversarial);

const connection = new Connection(receive, connectionChanged);
const board = new Board(() => ({ configured, frame, history, adversarial: adversarial(), critic: Boolean(configured?.critic) }));
const outcome = new Outcome(schema, (lane) => connection.send({ type: "lane", lane }));
const inverse = new InverseDemo();
const paths = new Paths(connection);
const configure = throttled(sendSettings, CONFIGURE_INTERVAL);
const controls = new Controls(schema, settings, (changed) => {
  phenomena.release();
  apply(changed);
}, (message) => connection.send(message));
const phenomena = new Phenomena(schema.phenomena, (wanted) => {
  phenomena.release();
  settings = complete(schema, wanted);
  controls.show(settings);
  apply(settings);
  command({ type: "reset" }); // Settings that change learning rates alone would go on from where the run is.
  command({ type: "start" });
});

/** A file goes first where the server does not have it; its answer sends the settings. */
function sendSettings() {
  if (settings.target === "data" && !uploaded && controls.upload.message) controls.upload.sendAgain();
  else connection.send({ type: "configure", settings });
}

function showAddress() {
  window.history.replaceState(null, "", toHash(schema, settings, uploaded));
}

/** Takes settings, and perhaps a file, from the address. */
function readAddress() {
  settings = fromHash(schema, location.hash);
  const file = fileFromHash(location.hash);
  if (!file) return;
  uploaded = null;
  controls.upload.take(...file);
}

function apply(changed) {
  settings = changed;
  showAddress();
  configure();
  showButtons();
}

/** Commands overtake no settings. */
function command(message) {
  configure.flush();
  connection.send(message);
  if (["start", "stop", "reset", "step"].includes(message.type)) training = message.type === "start";
  showButtons();
}

function showButtons() {
  const { open } = connection;
  byId("start").textContent = training ? "Stop" : "Start";
  for (const id of ["start", "step", "reset"]) byId(id).disabled = !open;
  byId("show-paths").disabled = !open;
  for (const id of ["step-d", "step-g"]) {
    byId(id).disabled = !open || !adversarial();
    byId(id).title = adversarial() ? "" : "For models with two players (GANs)";
  }
}

function connectionChanged(open, reason) {
  page.connected = open;
  byId("connection").hidden = open;
  if (open) {
    outcome.say("Connected");
    uploaded = null;
    sendSettings();
    if (byId("slow").checked) connection.send({ type: "slow", on: true });
  } else {
    byId("connection-text").textContent = `The connection to the server is closed${reason ? `: ${reason}` : ""}.`;
    setState("idle");
    outcome.say("Not connected");
  }
  showButtons();
}

function setState(newState, message = "") {
  state = newState;
  stateMessage = message;
  page.state = state;
  if (state === "running") training = true;
  if (RESTING.includes(state)) training = false;
  outcome.status(state, stateMessage, frame, configured?.losses ?? []);
  showButtons();
}

function receive(message) {
  const handlers = {
    configured: takeConfigured,
    error: takeError,
    status: () => setState(message.state, message.message),
    uploaded: takeUploaded,
    paths: () => paths.show(message),
    frame: takeFrame,
  };
  handlers[message.type]?.(message);
}

function takeConfigured(message) {
  const newTarget = JSON.stringify(message.target) !== JSON.stringify(configured?.target);
  configured = message;
  controls.clearErrors();
  showSource(message);
  if (newTarget) inverse.setTarget(message.target);
  if (message.reset) {
    history.clear();
    frame = null;
    Object.assign(page, { run: Number(page.run) + 1, step: 0, epoch: 0, verdict: "", drawn: "" });
    outcome.clear();
    outcome.status(state, stateMessage, frame, message.losses);
    paths.reset(schema.methods[message.settings.method].paths);
  }
  board.refresh();
}

function takeError({ field, message }) {
  if (field === "data") controls.upload.done(null);
  paths.refused();
  controls.showError(field || "general", message);
}

function takeUploaded(message) {
  controls.clearErrors();
  controls.upload.done(message);
  uploaded = message;
  controls.update({ target: "data", data: message.id });
}

function takeFrame(message) {
  history.append(message);
  // The status line's losses: an increment may be empty, the curves' ends are not.
  const latest = Object.fromEntries(Object.entries(history.losses).map(([name, values]) => [name, values.at(-1)]));
  frame = { ...message, latest };
  Object.assign(page, { step: frame.step, epoch: frame.epoch, verdict: frame.verdict ?? "" });
  outcome.show(frame);
  // Its state may be older than the last status: only status messages count.
  outcome.status(state, stateMessage, frame, configured?.losses ?? []);
  board.refresh();
}

byId("start").addEventListener("click", () => command({ type: training ? "stop" : "start" }));
byId("reset").addEventListener("click", () => command({ type: "reset" }));
for (const [id, players] of Object.entries({ step: "both", "step-d": "d", "step-g": "g" })) {
  byId(id).addEventListener("click", () => command({ type: "step", players }));
}
byId("slow").addEventListener("change", (event) => command({ type: "slow", on: event.target.checked }));
byId("reconnect").addEventListener("click", () => connection.connect());
window.addEventListener("hashchange", () => {
  readAddress();
  controls.show(settings);
  apply(settings);
});

connectKeys();
connectTakeaway(window.playground, board);
readAddress();
if (!controls.upload.message) showAddress();
connection.connect();
