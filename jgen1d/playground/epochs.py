"""The compiled part of training on a page: some epochs of all lanes, and their first state."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jgen1d.core import Config, Info, Method, PyTree, replace
from jgen1d.engine import run as train
from jgen1d.playground.look import compiled
from jgen1d.targets import Target

MAX_EPOCHS = 50
"""Of a call of `advance`."""


@compiled("method", "num_steps", "batch_size", "standardize", "player")
def advance(
    method: Method, runs: PyTree, data: Target, config: Config, num_epochs: jax.Array, num_steps: int, batch_size: int,
    standardize: bool, player: str,
) -> tuple[PyTree, Info]:  # fmt: skip
    """Takes `num_epochs` times `num_steps` steps. Returns the runs and each epoch's mean info, f32[lanes, MAX_EPOCHS].

    Args:
      method: what is trained.
      runs: `train.Run`s, with the lanes first.
      data: what they are trained on.
      config: of all lanes.
      num_epochs: i32[], at most `MAX_EPOCHS`; so that chunks of all lengths are one program.
      num_steps: of each epoch.
      batch_size: rows of a minibatch.
      standardize: whether to train on (x − mean)/std.
      player: "both", or of a GAN "d" or "g", the only one to move.
    """
    num_rows = batch_size * method.num_minibatches(config)
    resting = {"both": (), "d": ("params_g", "opt_g", "average_g"), "g": ("params_d", "opt_d")}[player]

    def one(run: train.Run, data: Target, config: Config, num_epochs: jax.Array) -> tuple[train.Run, Info]:
        moving = config
        if resting:
            moving = replace(config, **{"learning_rate_g" if player == "d" else "learning_rate_d": 0.0})

        # The loop carries the keys' words, for JAX's check of key reuse takes a key in a loop for a second use.
        names = ("key_data", "key_step", "key_eval")
        words = {name: jax.random.key_data(getattr(run, name)) for name in names}
        no_keys: dict[str, Any] = dict.fromkeys(names)

        def epoch(run: train.Run) -> tuple[train.Run, Info]:
            run = run._replace(**{name: jax.random.wrap_key_data(words[name]) for name in names})
            batches = train.draw(run.key_data, run.step, data, num_steps, num_rows, standardize, labelled=False)
            after, info = train.advance(method, run, batches, moving)
            state = _keep(after.state, run.state, resting)
            return after._replace(state=state, **no_keys), info

        def body(i: jax.Array, carry: tuple[train.Run, Info]) -> tuple[train.Run, Info]:
            run, info = epoch(carry[0])
            return run, jax.tree.map(lambda values, value: values.at[i].set(value), carry[1], info)

        keyless = run._replace(**no_keys)
        nothing = jax.tree.map(lambda leaf: jnp.zeros((MAX_EPOCHS, *leaf.shape)), jax.eval_shape(epoch, keyless)[1])
        after, infos = jax.lax.fori_loop(0, num_epochs, body, (keyless, nothing))
        return after._replace(**{name: getattr(run, name) for name in names}), infos

    if (num_lanes := len(runs.step)) > 1:
        devices = jax.local_devices()
        mesh = Mesh(np.array(devices[: math.gcd(num_lanes, len(devices))]), ("lane",))
        lanes = jax.shard_map(
            lambda runs, *shared: jax.vmap(one, (0, None, None, None))(runs, *shared), mesh=mesh,
            in_specs=(PartitionSpec("lane"), PartitionSpec(), PartitionSpec(), PartitionSpec()),
            out_specs=PartitionSpec("lane"), check_vma=False,
        )  # fmt: skip
        return lanes(runs, data, config, num_epochs)
    # Without vmap one lane's numbers are those of `fit`.
    run = jax.tree.map(lambda leaf: leaf[0], runs)
    return jax.tree.map(lambda leaf: leaf[None], one(run, data, config, num_epochs))


def _keep(state: PyTree, before: PyTree, names: tuple[str, ...]) -> PyTree:
    """The state with these fields as they were before."""
    return state._replace(**{name: getattr(before, name) for name in names}) if names else state


@compiled("method")
def start(method: Method, seeds: jax.Array, config: Config) -> PyTree:
    """The runs of seeds, i32[lanes], before their first step."""
    return jax.vmap(lambda seed: train.start(method, jax.random.key(seed), config))(seeds)
