// Where things stand: in a narrow window the first two plots come before the outcome and the lessons, and on a phone
// before the settings, which are folded there.

const byId = (id) => document.getElementById(id);

export function connectLayout() {
  const narrow = window.matchMedia("(max-width: 1100px)");
  const phone = window.matchMedia("(max-width: 760px)");
  const fold = byId("settings-fold");
  const panels = [document.querySelector(".outcome"), document.querySelector(".lessons")];
  const place = () => {
    fold.open = !phone.matches;
    byId("results").before(fold);
    const moved = phone.matches ? [...panels, fold] : panels;
    if (narrow.matches) byId("card-losses-b").after(...moved);
    else byId("results").prepend(...panels.toReversed());
  };
  for (const query of [narrow, phone]) query.addEventListener("change", place);
  place();
}
