// Where things stand: in a narrow window the first two plots come before the outcome and the lessons, and on a phone
// before the settings, which are folded there.

const byId = (id) => document.getElementById(id);

export function connectLayout() {
  const narrow = window.matchMedia("(max-width: 1100px)");
  const phone = window.matchMedia("(max-width: 760px)");
  const fold = byId("settings-fold");
  const [outcome, seeds, lessons] = [".outcome", ".lane-panel", ".lessons"].map((name) => document.querySelector(name));
  const place = () => {
    fold.open = !phone.matches;
    byId("results").before(fold);
    if (narrow.matches) byId("card-losses-b").after(outcome, seeds, lessons, ...(phone.matches ? [fold] : []));
    else byId("results").prepend(lessons, outcome, seeds);
  };
  for (const query of [narrow, phone]) query.addEventListener("change", place);
  place();
}
