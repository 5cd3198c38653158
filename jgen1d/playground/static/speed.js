// How fast a run is shown: a list, and a button that goes as fast as possible until the run ends.

const LABELS = {
  single: "single steps", slow: "slow (1 min)", normal: "normal (15 s)", fast: "fast (5 s)", fastest: "as fast as possible",
};

const byId = (id) => document.getElementById(id);

/** @param {(name: string) => void} send tells the server */
export function connectSpeed(schema, send) {
  const [list, forward] = [byId("speed"), byId("forward")];
  for (const name of schema.speeds) list.add(new Option(LABELS[name] ?? name, name));
  list.value = schema.first_speed;
  const isForward = () => forward.getAttribute("aria-pressed") === "true";
  const now = () => (isForward() ? "fastest" : list.value);
  const press = (on) => {
    forward.setAttribute("aria-pressed", on);
    send(now());
  };
  list.addEventListener("change", () => press(false));
  forward.addEventListener("click", () => press(!isForward()));
  return { now, release: () => { if (isForward()) press(false); } };
}
