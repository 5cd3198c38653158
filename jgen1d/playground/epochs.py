"""The compiled part of training on a page: some epochs of all lanes, and their first state."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jgen1d.core import Config, Info, Method, PyTree
from jgen1d.engine import run as engine
from jgen1d.engine.run import Run
from jgen1d.engine.task import Task
from jgen1d.playground.look import compiled
from jgen1d.playground.settings import STEPS_PER_EPOCH
from jgen1d.targets import Target

MAX_EPOCHS = 50
"""Epochs of one call of `advance`, at most."""


@compiled("method", "batch_size", "player")
def advance(
    method: Method, runs: PyTree, data: Target, config: Config, num_epochs: jax.Array, num_steps: jax.Array,
    batch_size: int, player: str,
) -> tuple[PyTree, Info]:  # fmt: skip
    """Takes `num_epochs` times `num_steps` steps: chunks of all lengths are one program.

    Args:
      method: the method that is trained.
      runs: `Run`s, with the lanes first.
      data: the distribution that they are trained on.
      config: of all lanes.
      num_epochs: i32[], at most `MAX_EPOCHS`.
      num_steps: i32[], steps of each epoch, at most `STEPS_PER_EPOCH`.
      batch_size: rows of a minibatch.
      player: "both"; or, of an adversarial method, "d" or "g", the only one that moves.

    Returns:
      The runs, and each epoch's mean info, f32[lanes, MAX_EPOCHS] by name.
    """
    moving = config
    resting: tuple[str, ...] = ()
    if player != "both":
        assert method.players is not None
        moving, resting = method.players.freeze(config, "g" if player == "d" else "d")

    def one(run: Run, data: Target, moving: Config, num_epochs: jax.Array, num_steps: jax.Array) -> tuple[Run, Info]:
        task = Task(method, data, moving)
        # The loop carries the keys' words, because JAX's check of key reuse takes a key in a loop for a second use.
        names = ("key_data", "key_step", "key_eval")
        words: dict[str, Any] = {name: jax.random.key_data(getattr(run, name)) for name in names}
        no_keys: dict[str, Any] = dict.fromkeys(names)

        @jax.jit  # traced once for the shapes of its info, and for the loop
        def epoch(run: Run) -> tuple[Run, Info]:
            run = run._replace(**{name: jax.random.wrap_key_data(words[name]) for name in names})
            batches = engine.draw(
                data, run.key_data, run.step, num_steps, num_rows=task.num_rows(batch_size),
                standardize=task.is_standardized, labelled=False, most=STEPS_PER_EPOCH,
            )  # fmt: skip
            after, info = engine.advance(task, run, batches, num_steps)
            kept = after.state._replace(**{name: getattr(run.state, name) for name in resting})
            return after._replace(state=kept, **no_keys), info

        def body(i: jax.Array, carry: tuple[Run, Info]) -> tuple[Run, Info]:
            run, info = epoch(carry[0])
            return run, jax.tree.map(lambda values, value: values.at[i].set(value), carry[1], info)

        keyless = run._replace(**no_keys)
        nothing = jax.tree.map(lambda leaf: jnp.zeros((MAX_EPOCHS, *leaf.shape)), jax.eval_shape(epoch, keyless)[1])
        after, infos = jax.lax.fori_loop(0, num_epochs, body, (keyless, nothing))
        return after._replace(**{name: getattr(run, name) for name in names}), infos

    lanes = jax.shard_map(
        lambda runs, *shared: jax.vmap(one, (0, None, None, None, None))(runs, *shared), mesh=_mesh(len(runs.step)),
        in_specs=(PartitionSpec("lane"), *[PartitionSpec()] * 4), out_specs=PartitionSpec("lane"), check_vma=False,
    )  # fmt: skip
    return lanes(runs, data, moving, num_epochs, num_steps)


@compiled("method")
def start(method: Method, seeds: jax.Array, data: Target, config: Config) -> PyTree:
    """The runs of seeds, i32[lanes], before their first step."""
    return jax.vmap(lambda seed: engine.start(Task(method, data, config), jax.random.key(seed)))(seeds)


def placed(runs: PyTree) -> PyTree:
    """The runs on the devices on which `advance` leaves them."""
    return jax.device_put(runs, NamedSharding(_mesh(len(runs.step)), PartitionSpec("lane")))


def _mesh(num_lanes: int) -> Mesh:
    """As many devices as the lanes can be shared out to evenly."""
    devices = jax.local_devices()
    return Mesh(np.array(devices[: math.gcd(num_lanes, len(devices))]), ("lane",))
