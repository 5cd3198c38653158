// Keyboard shortcuts: each presses a button of the page, unless the user is typing or has switched them off.

const TYPING = "input:not([type=checkbox]), select, textarea";
const BUTTONS = { " ": "start", s: "step", r: "reset", d: "step-d", g: "step-g", f: "forward" };

let before = null;

/** From any speed to single steps, and back. */
function toggleSingle(target, event) {
  if (target.closest(TYPING)) return;
  const speed = document.getElementById("speed");
  const single = speed.value === "single";
  if (!single) before = speed.value;
  speed.value = single ? before ?? "normal" : "single";
  speed.dispatchEvent(new Event("change"));
  event.preventDefault();
}

export function connectKeys() {
  // Space starts and stops, and presses the button that has the focus: one that was clicked does not keep it.
  document.addEventListener("click", (event) => {
    if (event.detail) event.target.closest("button")?.blur();
  });
  // The address holds the settings: links within the page must leave it alone.
  for (const link of document.querySelectorAll('a[href^="#"]')) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const place = document.querySelector(link.hash);
      if (place.tagName === "DETAILS") place.open = true;
      const inside = place.tagName === "DETAILS" ? place.querySelector("summary") : place;
      place.scrollIntoView();
      inside.focus({ preventScroll: true });
    });
  }
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    const name = BUTTONS[key.toLowerCase()];
    const elsewhere = event.ctrlKey || event.metaKey || event.altKey || event.repeat;
    if (key.toLowerCase() === "m" && !elsewhere && document.getElementById("shortcuts").checked) toggleSingle(target, event);
    if (!name || elsewhere || !document.getElementById("shortcuts").checked) return;
    if (target.closest(TYPING)) return;
    // Space already has a meaning on these.
    if (key === " " && target.closest("button, a, summary, input, canvas, pre")) return;
    event.preventDefault();
    document.getElementById(name).click();
  });
}
