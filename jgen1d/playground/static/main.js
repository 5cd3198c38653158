// The page's centre: settings go to the server, its messages to the parts of the page.

import { Board } from "./board.js";
import { Controls } from "./controls.js";
import { History } from "./history.js";
import { InverseDemo } from "./inverse.js";
import { connectKeys } from "./keys.js";
import { connectLayout } from "./layout.js";
import { Lessons } from "./lessons.js";
import { modelOf } from "./model.js";
import { Outcome } from "./outcome.js";
import { Paths } from "./paths.js";
import { Recorder } from "./recorder.js";
import { complete, modelName } from "./settings.js";
import { Connection, throttled } from "./socket.js";
import { connectSpeed } from "./speed.js";
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
const otherHistory = new History();
const recorder = new Recorder();
let settings = fromHash(schema, location.hash);
let uploaded = null;
let configured = null;
let frame = null;
let state = "idle";
let stateMessage = "";
let stateSince = 0;
let training = false; // Or asked to: compiling alone does not tell, since new settings compile as well.

window.playground = {
  get settings() { return settings; },
  get history() { return history; },
  get recording() { return recorder.recording(configured, { history, other: otherHistory, names: names() }); },
};

const adversarial = () => Boolean(schema.methods[settings.method].adversarial);

const connection = new Connection(receive, connectionChanged);
const board = new Board(() => modelOf(configured, frame, history, otherHistory));
const outcome = new Outcome(schema, (lane) => connection.send({ type: "lane", lane }));
const inverse = new InverseDemo();
const paths = new Paths(connection);
const configure = throttled(sendSettings, CONFIGURE_INTERVAL);
const speed = connectSpeed(schema, (name) => connection.send({ type: "speed", speed: name }));
const controls = new Controls(schema, settings, (changed) => {
  lessons.release();
  apply(changed);
}, (message) => connection.send(message));
const lessons = new Lessons(schema, (wanted) => {
  lessons.release();
  settings = complete(schema, wanted);
  controls.show(settings);
  apply(settings);
  command({ type: "reset" }); // Settings that change learning rates alone would go on from where the run is.
  command({ type: "start" });
});

/** What the models are called. */
function names() {
  return [settings, ...(settings.rival ? [{ ...settings.rival, target: settings.target }] : [])].map((one) => modelName(schema, one));
}

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
    connection.send({ type: "speed", speed: speed.now() });
  } else {
    byId("connection-text").textContent = `The connection to the server is closed${reason ? `: ${reason}` : ""}.`;
    setState("idle");
    outcome.say("Not connected");
  }
  showButtons();
}

function setState(newState, message = "") {
  if (newState !== state) stateSince = performance.now();
  if (RESTING.includes(newState) && state !== newState) {
    speed.release();
    lessons.ended(newState === "idle" ? null : frame);
  }
  state = newState;
  stateMessage = message;
  page.state = state;
  if (state === "running") training = true;
  if (RESTING.includes(state)) training = false;
  showStatus();
  showButtons();
}

function showStatus() {
  outcome.status(state, stateMessage, frame, configured?.losses ?? [], (performance.now() - stateSince) / 1000);
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
    otherHistory.clear();
    recorder.clear();
    frame = null;
    Object.assign(page, { run: Number(page.run) + 1, step: 0, epoch: 0, verdict: "", drawn: "" });
    outcome.clear();
    showStatus();
    paths.reset(schema.methods[message.settings.method].paths && !message.target.curves);
  }
  page.pair = Boolean(message.rival);
  byId("sides").hidden = !message.rival;
  byId("sides").textContent = names().map((name, index) => `${"AB"[index]}: ${name}`).join(" · ");
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
  if (message.rival) otherHistory.append(message.rival);
  // The status line's losses: an increment may be empty, the curves' ends are not.
  const latest = Object.fromEntries(Object.entries(history.losses).map(([name, values]) => [name, values.at(-1)]));
  frame = { ...message, latest };
  Object.assign(page, { step: frame.step, epoch: frame.epoch, verdict: frame.verdict ?? "" });
  outcome.show(frame);
  recorder.take(frame);
  // Its state may be older than the last status: only status messages count.
  showStatus();
  board.refresh();
}

byId("start").addEventListener("click", () => command({ type: training ? "stop" : "start" }));
byId("reset").addEventListener("click", () => command({ type: "reset" }));
for (const [id, players] of Object.entries({ step: "both", "step-d": "d", "step-g": "g" })) {
  byId(id).addEventListener("click", () => command({ type: "step", players }));
}
setInterval(() => { if (state === "compiling") showStatus(); }, 1000);
byId("reconnect").addEventListener("click", () => connection.connect());
window.addEventListener("hashchange", () => {
  readAddress();
  controls.show(settings);
  apply(settings);
});

connectKeys();
connectLayout();
connectTakeaway(window.playground, board);
readAddress();
if (!controls.upload.message) showAddress();
connection.connect();
