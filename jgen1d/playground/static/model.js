// What the figures are given: one model, and the other one that it is compared with, if any.

/**
 * @param {object} configured the server's description of the runs
 * @param {object} frame the newest one
 * @param {object} history the model's
 * @param {object} otherHistory the other model's
 */
export function modelOf(configured, frame, history, otherHistory) {
  const one = { configured, frame, history, rival: false, other: null };
  if (!configured) return one;
  Object.assign(one, traits(configured));
  if (configured.rival) {
    const own = { ...configured, ...configured.rival };
    one.other = { configured: own, frame: frame?.rival, history: otherHistory, rival: true, other: null, ...traits(own) };
  }
  return one;
}

function traits({ adversarial, critic }) {
  return { adversarial: Boolean(adversarial), critic: Boolean(critic) };
}
