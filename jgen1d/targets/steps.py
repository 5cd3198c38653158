"""A density that is constant in each of several cells, such as that of rounded values spread evenly, as a target."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.targets.family import Family


class StepsParams(NamedTuple):
    """A density that is constant in each of k cells: their edges, f32[k + 1], and the cdf there, f32[k + 1].

    The edges are in data units, increasing.
    """

    edges: jax.Array
    edges_cdf: jax.Array


def _cell(params: StepsParams, cell: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The start, the width, the cdf at the start and the mass of the cells with these numbers, i32[...]."""
    i = jnp.clip(cell, 0, len(params.edges) - 2)
    start, cdf = params.edges[i], params.edges_cdf[i]
    return start, params.edges[i + 1] - start, cdf, params.edges_cdf[i + 1] - cdf


def _log_prob(params: StepsParams, x: jax.Array) -> jax.Array:
    cell = jnp.searchsorted(params.edges, x[:, 0], side="right") - 1
    _, width, _, mass = _cell(params, cell)
    inside = (x[:, 0] >= params.edges[0]) & (x[:, 0] <= params.edges[-1]) & (mass > 0)
    return jnp.where(inside, jnp.log(jnp.where(mass > 0, mass, 1) / width), -jnp.inf)


def _cdf(params: StepsParams, x: jax.Array) -> jax.Array:
    start, width, cdf, mass = _cell(params, jnp.searchsorted(params.edges, x, side="right") - 1)
    return cdf + mass * jnp.clip((x - start) / width, 0, 1)


def _quantile(params: StepsParams, u: jax.Array) -> jax.Array:
    start, width, cdf, mass = _cell(params, jnp.searchsorted(params.edges_cdf, u, side="left") - 1)
    return start + width * jnp.clip((u - cdf) / jnp.where(mass > 0, mass, 1), 0, 1)


def _moved(params: StepsParams, shift: Any, scale: Any) -> StepsParams:
    return StepsParams((params.edges - shift[0]) / scale, params.edges_cdf)


def _ends(params: StepsParams) -> tuple[Any, Any]:
    return params.edges[0], params.edges[-1]


STEPS = Family(_moved, _log_prob, _cdf, _quantile, ends=_ends)
