// Machine names as words.

/** A field's or a preset's machine name as words: `learning_rate_g` → `Learning rate G`. */
export function words(name) {
  const text = name.replace(/_([gd])$/, (_, player) => ` ${player.toUpperCase()}`).replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function lossName(name) {
  return { loss_g: "loss of G", loss_d: "loss of D" }[name] ?? name.replaceAll("_", " ");
}

/** A number to a few digits, or a dash. */
export function short(value, digits = 3) {
  return Number.isFinite(value) ? String(Number(value.toPrecision(digits))) : "–";
}
