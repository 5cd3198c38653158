"""Small real images as a target: handwritten digits, half of them kept to measure with."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.core import Key
from jgen1d.targets import processes, rows, signal_targets
from jgen1d.targets.target import Target, as_leaf

NUM_COMPONENTS = 16
"""Of the space in which images are compared; they hold 85 % of the variance."""
SPLIT_SEED = 0
"""Of the split into images to train on and images to measure with."""


class Digits(NamedTuple):
    """Labelled images that are equally likely, with noise that is uniform within a grey level.

    Attributes:
      rows: f32[n, dim], the images to train on.
      root: f32[dim, dim], the symmetric square root of their covariance, noise included.
      width: f32[], of the noise: 1 grey level.
      labels: i32[n].
      shares: f32[k], how frequent each label is.
      held_out: f32[m, dim], images to measure with, which are never drawn.
      components: f32[NUM_COMPONENTS, dim], the first principal components of the images to train on.
      weights: f32[dim + 1, k], a logistic classifier fitted on the images to train on; the last row is its bias.
    """

    rows: Any
    root: Any
    width: Any
    labels: Any
    shares: Any
    held_out: Any
    components: Any
    weights: Any

    def sample(self, key: Key, num_samples: int) -> jax.Array:
        """Draws f32[num_samples, dim]."""
        return rows.draw(self, key, num_samples)[0]

    def class_weights(self) -> Any:
        """How frequent the labels are, f32[k]."""
        return self.shares

    def class_log_probs(self, x: jax.Array) -> jax.Array:
        """log p(label | x), f32[n, k]: all on the label of the nearest image; a drawn image is nearest to itself."""
        nearest = jnp.argmin(squared_distances(x, jnp.asarray(self.rows)), axis=1)
        wanted = jnp.asarray(self.labels)[nearest]
        return jnp.where(jax.nn.one_hot(wanted, len(self.shares), dtype=bool), 0.0, -jnp.inf)

    def classify(self, x: jax.Array) -> jax.Array:
        """The labels that the classifier gives f32[n, dim], i32[n]."""
        weights = jnp.asarray(self.weights)
        return jnp.argmax(x @ weights[:-1] + weights[-1][None], axis=1)


def squared_distances(x: jax.Array, y: jax.Array) -> jax.Array:
    """‖xᵢ − yⱼ‖², f32[n, m], of f32[n, dim] and f32[m, dim]."""
    return jnp.sum(x**2, axis=1)[:, None] - 2 * x @ y.T + jnp.sum(y**2, axis=1)[None]


@functools.cache
def digits() -> Target:
    """Handwritten digits, 8×8 grey levels from 0 to 16: half of the 1,797 images, and noise within a grey level.

    Without the noise, pixels that are 0 in all images have no density. The other half is `target.params.law.held_out`.

    Raises:
      ValueError: without scikit-learn.

    References:
      Alpaydin & Kaynak 1998, Optical recognition of handwritten digits, UCI machine learning repository.
    """
    try:
        from sklearn.datasets import load_digits
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise ValueError("the target 'digits' needs scikit-learn: pip install 'jgen1d[images]'") from None
    loaded = load_digits()
    images, labels = loaded.data.astype(np.float64), loaded.target.astype(np.int32)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
    train, held_out = np.split(order, [len(order) // 2])
    fitted = LogisticRegression(max_iter=1_000, C=0.01).fit(images[train], labels[train])
    covariance = np.cov(images[train].T, bias=True) + np.eye(images.shape[1]) / 12
    law = Digits(
        as_leaf(images[train]), processes.root_of(covariance), as_leaf(1.0), labels[train],
        as_leaf(np.bincount(labels[train]) / len(train)), as_leaf(images[held_out]),
        np.linalg.eigh(covariance)[1].T[: -NUM_COMPONENTS - 1 : -1],
        np.vstack([fitted.coef_.T, fitted.intercept_[None]]),
    )  # fmt: skip
    return signal_targets.from_rows(law, signal_targets.LABELLED, "digits", (8, 8))
