// Keyboard shortcuts: each presses a button of the page, unless the user is typing or has switched them off.

const BUTTONS = { " ": "start", s: "step", r: "reset", d: "step-d", g: "step-g", m: "slow" };

export function connectKeys() {
  // Space starts and stops, and presses the button that has the focus: one that was clicked does not keep it.
  document.addEventListener("click", (event) => {
    if (event.detail) event.target.closest("button")?.blur();
  });
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    const name = BUTTONS[key.toLowerCase()];
    const elsewhere = event.ctrlKey || event.metaKey || event.altKey || event.repeat;
    if (!name || elsewhere || !document.getElementById("shortcuts").checked) return;
    if (target.closest("input:not([type=checkbox]), select, textarea")) return;
    // Space already has a meaning on these.
    if (key === " " && target.closest("button, a, summary, input, canvas, pre")) return;
    event.preventDefault();
    document.getElementById(name).click();
  });
}
