"""Is a GAN an actor-critic method?

    python experiments/actor_critic.py
    python experiments/actor_critic.py --num_seeds=256

Pfau & Vinyals 2016 (Connecting generative adversarial networks and actor-critic methods, section 3) build the
environment in which it is one. There is no state, and an action is a point. The environment flips a fair coin and shows
the critic either the actor's action or a point of the data. The reward is 1 for data and 0 for an action, so the actor
cannot change it. The critic learns the expected reward Q(x) of what it is shown, by cross-entropy; the actor follows
the deterministic policy gradient of log Q at its own actions. Side by side:

    GAN                                                  actor-critic
    D: min −½ E log D(x) − ½ E log(1 − D(G(z)))          Q: min E cross-entropy(reward, Q(shown))
    G: min −E log D(G(z))                                π: max E log Q(π(z))

For each seed the script draws networks, data and latents, and computes the gradients of both players twice: by
differentiating the library's losses, and from episodes as an actor-critic method does. There the critic's only signal
is the error reward − Q, and the actor's only signal is the critic's slope at the action. The table gives the largest
difference in units of the gradient's norm, as median [5 %, 95 %] over seeds, and the share of seeds in which it is at
most 1e-5. The workdir receives `config.json` and `summary.json`.

Expect (5 s): equal in all seeds, to less than 1e-6 of the norm.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

import jgen1d
import lab
from jgen1d import cli
from jgen1d.core import PyTree, bind, replace
from jgen1d.maths import losses
from jgen1d.methods import _critic, gan
from jgen1d.report import stats
from jgen1d.report.table import Table, cell

TOLERANCE = 1e-5

flags.DEFINE_string("target", "bimodal", "the data")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "points of data, and as many actions", lower_bound=1)
cli.define_training_flags(num_steps=1)
cli.define_output_flags("actor_critic")


def main() -> None:
    """Compares the gradients, and prints."""
    (target,) = cli.read_targets("target")
    workdir = cli.choose_workdir("actor_critic")
    config = bind(
        replace(gan.PRESETS["textbook"], discriminator_loss="half_log", activation="tanh"), dim=target.dim, num_steps=1
    )
    compare = jax.jit(jax.vmap(lambda key: _differences(key, target, config)))
    found = compare(jnp.stack([jax.random.key(seed) for seed in cli.seeds()]))
    rows: list[dict[str, Any]] = [
        {
            "gradient_of": player,
            "num_seeds": len(cli.seeds()),
            "largest_difference_1e6": stats.spread(1e6 * np.asarray(values)),
            "equal": stats.rate(np.asarray(values) <= TOLERANCE),
        }
        for player, values in sorted(found.items(), reverse=True)
    ]
    equal = all(row["equal"]["share"] == 1 for row in rows)
    worst = max(float(np.max(values)) for values in found.values())
    conclusion = (
        f"{target.name}: the gradients of GAN and actor-critic {'agree' if equal else 'do not all agree'} to "
        f"{TOLERANCE:.0e} of their norm in {cell(rows[0]['equal'])} (critic) and "
        f"{cell(rows[1]['equal'])} (actor) of seeds; the largest difference is {worst:.1e}."
    )
    cli.answer(workdir, Table(rows), [conclusion], {})


def _differences(key: jax.Array, target: jgen1d.Target, config: gan.Config) -> dict[str, jax.Array]:
    """The largest difference between the two gradients of each player, over the gradient's norm."""
    key_init, key_data, key_latents = jax.random.split(key, 3)
    state, data = gan.init(key_init, config), target.sample(key_data, _BATCH_SIZE.value)
    z, net = gan.latents(key_latents, _BATCH_SIZE.value, config), _critic.net(config, state.step)

    def actions(params: PyTree) -> jax.Array:
        return gan.generate(state._replace(params_g=params), z, config)

    def loss_d(params: PyTree) -> jax.Array:
        return losses.half_log_loss_d(net.apply(params, data), net.apply(params, actions(state.params_g)))

    def loss_g(params: PyTree) -> jax.Array:
        return losses.non_saturating_loss_g(net.apply(state.params_d, actions(params)))

    # Episodes, one with either side of the coin for each action.
    taken, act_back = jax.vjp(actions, state.params_g)
    shown = jnp.concatenate([data, taken])
    reward = jnp.concatenate([jnp.ones((len(data), 1)), jnp.zeros((len(taken), 1))])
    logits, critic_back = jax.vjp(lambda params: net.apply(params, shown), state.params_d)
    (of_critic,) = critic_back(-(reward - jax.nn.sigmoid(logits)) / len(shown))
    q, slope_back = jax.vjp(lambda x: net.apply(state.params_d, x), taken)
    (slope,) = slope_back((1 - jax.nn.sigmoid(q)) / len(taken))  # of log Q in the action
    (of_actor,) = act_back(-slope)
    return {
        "critic": _largest(jax.grad(loss_d)(state.params_d), of_critic),
        "actor": _largest(jax.grad(loss_g)(state.params_g), of_actor),
    }


def _largest(a: PyTree, b: PyTree) -> jax.Array:
    flat = [jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)]) for tree in (a, b)]
    return jnp.max(jnp.abs(flat[0] - flat[1])) / jnp.linalg.norm(flat[0])


if __name__ == "__main__":
    cli.run(main, quick=lab.QUICK)
