"""The autoregressive models: their networks' order, and probabilities by enumeration, quadrature and NumPy."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from jgen1d import TARGETS, nets
from jgen1d.methods import autoregressive
from jgen1d.nets import Padded

MASKED, TRANSFORMER = {"widths": (20, 16)}, {"network": "transformer", "widths": (6, 5), "embedding_dim": 8}
NETWORKS = {"masked_mlp": MASKED, "transformer": TRANSFORMER}
init, log_prob = jax.jit(autoregressive.init), jax.jit(autoregressive.log_prob)
sample = jax.jit(autoregressive.sample, static_argnums=2)


def silu(x):
    return x * scipy.special.expit(x)


@functools.cache
def model(network="masked_mlp", noise=0.4, **options):
    """A config, and a state whose parameters have noise added, so that the last layer's are not zero either."""
    config = autoregressive.Config(**{**NETWORKS[network], "num_bits": 3, "ema_decay": None, **options})
    state, rng = init(jax.random.key(0), config), np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(leaf + noise * rng.normal(size=leaf.shape), leaf.dtype), state.params
    )
    return config, state._replace(params=params)


def cells(config):
    """The place in its cell 0.3 of the way, f32[cells^dim, dim], for each cell, and log G′ there."""
    u = (np.arange(2**config.num_bits) + 0.3) / 2**config.num_bits
    x = np.array(list(itertools.product(scipy.stats.logistic.ppf(u, scale=config.spread), repeat=config.dim)))
    return jnp.asarray(x, dtype=float), scipy.stats.logistic.logpdf(x, scale=config.spread).sum(1)


def cell_probabilities(config, state):
    """P(digits) of every cell, row by row, from the density in it."""
    x, log_slopes = cells(config)
    return np.exp(np.float64(log_prob(state, x, config)) - log_slopes) / 2.0 ** (config.dim * config.num_bits)


def masked_reference(params, x, outputs):
    """MADE by the rules of Germain et al. 2015, a weight at a time: f[n, in_dim, outputs] of f[n, in_dim]."""
    named, inputs = {name: np.float64(leaf) for name, leaf in params["params"].items()}, x.shape[1]
    golden = (5**0.5 - 1) / 2
    before, h = list(range(1, inputs + 1)), x
    for layer in range((len(named) - 2) // 2):
        kernel = named[f"kernel_{layer}"].copy()
        degrees = [1 + int(max(inputs - 1, 1) * (unit * golden % 1)) for unit in range(kernel.shape[1])]
        for (i, m), (j, n) in itertools.product(enumerate(before), enumerate(degrees)):
            kernel[i, j] *= n >= m
        before, h = degrees, silu(h @ kernel + named[f"bias_{layer}"][:, 0])
    kernel = named["kernel_out"].copy()
    for (i, m), j in itertools.product(enumerate(before), range(kernel.shape[1])):
        kernel[i, j] *= j // outputs + 1 > m
    return (h @ kernel + named["bias_out"][:, 0]).reshape(len(x), inputs, outputs)


def transformer_reference(params, x, outputs, blocks, num_heads):
    """The transformer, a row, a position and a head at a time: f[n, in_dim, outputs] of f[n, in_dim]."""
    named = {name: np.float64(leaf) for name, leaf in params["params"].items()}

    def dense(name, v):
        return v @ named[f"kernel_{name}"] + named[f"bias_{name}"][:, 0]

    def normalize(name, v):
        z = (v - v.mean()) / np.sqrt(v.var() + 1e-5)
        return named[f"gain_{name}"][:, 0, 0] * z + named[f"shift_{name}"][:, 0, 0]

    def predict(seen):
        """The numbers that predict the next feature, of those before it."""
        features = [0.0, *seen]
        h = [named["place"][:, k, 0] + named["value"][:, k, 0] * v for k, v in enumerate(features)]
        for b in range(blocks):
            queries, keys, values = zip(
                *[np.split(dense(f"attention_{b}", normalize(f"attention_{b}", v)), 3) for v in h], strict=True
            )
            after, size = [], len(h[0]) // num_heads
            for k in range(len(h)):
                mixed = []
                for part in (slice(i * size, (i + 1) * size) for i in range(num_heads)):
                    scores = np.array([queries[k][part] @ keys[j][part] for j in range(k + 1)]) / np.sqrt(size)
                    shares = scipy.special.softmax(scores)
                    mixed.append(sum(share * values[j][part] for j, share in enumerate(shares)))
                attended = h[k] + dense(f"mixed_{b}", np.concatenate(mixed))
                after.append(attended + dense(f"out_{b}", silu(dense(f"in_{b}", normalize(f"in_{b}", attended)))))
            h = after
        return dense("out", normalize("out", h[-1]))

    return np.array([[predict(row[:k]) for k in range(len(row))] for row in x]).reshape(*x.shape, outputs)


def reference_outputs(config, state, x, outputs):
    if config.network == "masked_mlp":
        return masked_reference(state.params, x, outputs)
    return transformer_reference(state.params, x, outputs, len(config.widths), config.num_heads)


@pytest.mark.parametrize(("network", "dim"), [("masked_mlp", 1), ("masked_mlp", 2), ("transformer", 2)])
def test_log_prob_of_digits_equals_a_numpy_reference(network, dim):
    config, state = model(network, dim=dim, spread=0.7)
    x = np.random.default_rng(1).normal(size=(6, dim))
    written = [[f"{int(8 * scipy.special.expit(v / 0.7)):03b}" for v in row] for row in x]
    bits = np.array([[int(row[j][k]) for k in range(3) for j in range(dim)] for row in written])
    logits = reference_outputs(config, state, 2.0 * bits - 1, 1)[:, :, 0]
    log_bits = np.log(np.where(bits, scipy.special.expit(logits), scipy.special.expit(-logits))).sum(1)
    wanted = log_bits + dim * np.log(8) + scipy.stats.logistic.logpdf(x, scale=0.7).sum(1)
    np.testing.assert_allclose(log_prob(state, jnp.asarray(x, dtype=float), config), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_log_prob_of_mixtures_equals_a_numpy_reference(network):
    config, state = model(network, dim=2, conditionals="mixture", num_components=3)
    x = np.random.default_rng(1).normal(size=(6, 2))
    outputs = reference_outputs(config, state, x, 9)
    shares = scipy.special.softmax(outputs[:, :, :3], axis=2)
    means, stds = outputs[:, :, 3:6] + np.array([-4 / 3, 0, 4 / 3]), 1e-3 + 4 / 3 * np.exp(outputs[:, :, 6:])
    wanted = np.log((shares * scipy.stats.norm.pdf(x[:, :, None], means, stds)).sum(2)).sum(1)
    np.testing.assert_allclose(log_prob(state, jnp.asarray(x, dtype=float), config), wanted, rtol=1e-5, atol=1e-5)


def make(network, widths):
    if network == "masked_mlp":
        return nets.masked_mlp(4, 2, widths)
    return nets.transformer(4, 2, widths, embedding_dim=8, num_heads=2)


@pytest.mark.parametrize(("network", "widths"), [("masked_mlp", (16, 16)), ("masked_mlp", ()), ("transformer", (6, 5))])
def test_outputs_depend_on_all_earlier_features_and_on_no_other(network, widths):
    net, rng = make(network, widths), np.random.default_rng(0)
    params = jax.jit(net.init)(jax.random.key(0))
    params = jax.tree.map(lambda leaf: leaf + jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype), params)
    x = jnp.asarray(rng.normal(size=4), dtype=float)
    jacobian = jax.jit(jax.jacobian(lambda x: net.apply(params, x[None])[0].reshape(4, 2)))(x)
    depends = np.tril(np.ones((4, 4), bool), -1)[:, None]
    np.testing.assert_array_equal(jacobian != 0, np.broadcast_to(depends, jacobian.shape))


@pytest.mark.parametrize("network", NETWORKS)
def test_padded_networks_are_the_small_ones(network):
    small = make(network, (3,))
    padded = make(network, (Padded(5, jnp.asarray(3)), Padded(5, jnp.asarray(0), optional=True)))
    params, rng = jax.jit(small.init)(jax.random.key(0))["params"], np.random.default_rng(0)
    large = jax.jit(padded.init)(jax.random.key(0))["params"]
    for name, leaf in params.items():
        place = tuple(slice(size) for size in leaf.shape)
        np.testing.assert_array_equal(large[name][place], leaf)
        if "out" in name:
            params[name] = jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype)
            large[name] = large[name].at[place].set(params[name])
    x = jnp.asarray(rng.normal(size=(5, 4)), dtype=float)
    outputs = [jax.jit(net.apply)({"params": p}, x) for net, p in [(small, params), (padded, large)]]
    assert np.std(outputs[0]) > 0.1
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("network", "dim"), [("masked_mlp", 1), ("masked_mlp", 2), ("transformer", 2)])
def test_probabilities_of_all_digits_sum_to_one_and_samples_follow_them(network, dim):
    config, state = model(network, dim=dim)
    probabilities = cell_probabilities(config, state)
    np.testing.assert_allclose(probabilities.sum(), 1, rtol=1e-5)
    assert probabilities.max() > 1.5 * probabilities.mean()
    draws = np.float64(sample(jax.random.key(1), state, 20_000, config))
    u = scipy.stats.logistic.cdf(draws) * 2**config.num_bits
    index = np.ravel_multi_index(tuple(np.floor(u).astype(int).T), (2**config.num_bits,) * dim)
    counts = np.bincount(index, minlength=len(probabilities))
    expected = probabilities / probabilities.sum() * len(draws)
    rare = expected < 10
    counts, expected = [np.append(values[~rare], values[rare].sum()) for values in (counts, expected)]
    keep = expected > 0
    assert scipy.stats.chisquare(counts[keep], expected[keep]).pvalue > 0.01
    assert scipy.stats.kstest((u % 1).ravel(), "uniform").pvalue > 0.01


def test_at_first_the_data_follow_the_logistic_law():
    config = autoregressive.Config(dim=2, spread=0.6, **MASKED)
    state = init(jax.random.key(0), config)
    x = np.random.default_rng(0).normal(size=(50, 2))
    wanted = scipy.stats.logistic.logpdf(x, scale=0.6).sum(1)
    np.testing.assert_allclose(log_prob(state, jnp.asarray(x, dtype=float), config), wanted, rtol=1e-5, atol=1e-5)
    draws = np.float64(sample(jax.random.key(0), state, 5_000, config)).ravel()
    assert scipy.stats.kstest(draws, "logistic", (0, 0.6)).pvalue > 0.01


def test_far_away_the_density_falls_like_the_logistic_one_and_stays_positive():
    config, state = model()
    log_densities = np.float64(log_prob(state, jnp.array([[-400.0], [-300.0], [300.0], [400.0]]), config))
    np.testing.assert_allclose(np.diff(log_densities)[[0, 2]], [100, -100], rtol=1e-5)
    assert np.isfinite(log_densities).all()


@pytest.mark.parametrize("network", NETWORKS)
def test_mixture_densities_integrate_to_one_and_samples_follow_them(network):
    config, state = model(network, 0.2, dim=2, conditionals="mixture", num_components=3, activation="tanh")
    edges = np.linspace(-32, 32, 321)
    middle = (edges[1:] + edges[:-1]) / 2
    x = jnp.asarray(np.stack(np.meshgrid(middle, middle, indexing="ij"), axis=-1).reshape(-1, 2), dtype=float)
    mass = np.exp(np.float64(log_prob(state, x, config))).reshape(320, 320) * 0.2**2
    np.testing.assert_allclose(mass.sum(), 1, atol=1e-3)
    draws = np.float64(sample(jax.random.key(1), state, 20_000, config))
    bounds = np.linspace(-2.4, 2.4, 7)  # among the edges
    counts, expected, bins = np.zeros((8, 8)), np.zeros((8, 8)), np.digitize(middle, bounds)
    np.add.at(counts, tuple(np.digitize(draws, bounds).T), 1)
    np.add.at(expected, np.ix_(bins, bins), mass * len(draws))
    common = expected > 10
    chi_square = np.sum((counts - expected)[common] ** 2 / expected[common])
    assert scipy.stats.chi2.sf(chi_square, common.sum()) > 0.01


def fitted(config, target=None, law=None):
    """The state after `num_steps` steps, on a target, standardised, or on a law over cells, f32[cells]."""
    return _fitted(config, int(config.num_steps), target, law)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _fitted(config, num_steps, target, law):

    def step(state, number):
        key = jax.random.fold_in(jax.random.key(1), number)
        if law is None:
            batch = (TARGETS[target].sample(key, 256) - TARGETS[target].mean[None]) / TARGETS[target].std[None]
        else:
            u = (jax.random.choice(key, len(law), (256, 1), p=law) + 0.5) / len(law)
            batch = jnp.log(u) - jnp.log1p(-u)
        state, info = autoregressive.step(jax.random.key(2), state, batch, config)
        return state, info["loss"]

    return jax.lax.scan(step, autoregressive.init(jax.random.key(0), config), jnp.arange(num_steps))


def test_training_on_a_discrete_law_approaches_its_entropy():
    law = np.array([0.3, 0.05, 0.1, 0.02, 0.2, 0.2, 0.03, 0.1])
    config = autoregressive.Config(**MASKED, num_bits=3, num_steps=400, learning_rate=0.01, ema_decay=0.95)
    state, _ = fitted(config, law=jnp.asarray(law, dtype=float))
    cross_entropy = -np.sum(law * np.log(cell_probabilities(config, state)))
    assert 0 <= cross_entropy - scipy.stats.entropy(law) < 0.005


@pytest.mark.parametrize("conditionals", ["digits", "mixture"])
def test_training_approaches_the_entropy_of_the_normal_law_from_above(conditionals):
    config = autoregressive.Config(
        conditionals=conditionals, num_steps=400, learning_rate=0.01, ema_decay=0.95, num_bits=6
    )
    config = config.replace(widths=(32,), num_components=4)
    state, losses = fitted(config, target="normal")
    x = scipy.stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    entropy = 0.5 * np.log(2 * np.pi * np.e)
    # By pairs, log p − log q over the same points, the quadrature's own error falls out.
    gap = np.mean(
        scipy.stats.norm.logpdf(x) - np.float64(log_prob(state, jnp.asarray(x, dtype=float)[:, None], config))
    )
    assert 0 <= gap < 0.01
    assert entropy < np.mean(losses[-50:]) + 5 * np.sqrt(0.5 / (50 * 256))  # 5 standard errors of a perfect model's
    assert np.mean(losses[-50:]) < entropy + 0.05


@pytest.mark.parametrize(
    "options", list(itertools.product(["digits", "mixture"], ["masked_mlp", "transformer"])), ids="-".join
)
def test_options_train_in_two_dimensions(options):
    conditionals, network = options
    config = autoregressive.Config(
        conditionals=conditionals, dim=2, num_steps=30, num_bits=4, num_components=4, learning_rate=0.01
    ).replace(network=network, widths=(16,), embedding_dim=8)
    states, losses = jax.jit(jax.vmap(functools.partial(ring_fit, config)))(jax.random.split(jax.random.key(0), 2))
    assert np.isfinite(losses).all()
    assert np.all(losses[:, -1] < losses[:, 0] - 0.1)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(states))


def ring_fit(config, key):
    key_init, key_data, key_step = jax.random.split(key, 3)
    data = TARGETS["ring"].sample(key_data, 128) * 1.4

    def step(state, _):
        state, info = autoregressive.step(key_step, state, data, config)
        return state, info["loss"]

    return jax.lax.scan(step, autoregressive.init(key_init, config), length=config.num_steps)


def test_mixtures_of_repeated_data_stay_finite():
    config = autoregressive.Config(conditionals="mixture", num_steps=400, learning_rate=0.1, num_components=2, **MASKED)
    state, losses = fitted(config, law=jnp.array([0.0, 1.0, 0.0]))
    assert np.isfinite(losses).all()
    assert losses[-1] > np.log(1e-3)  # the density of N(·, MIN_SCALE²) is at most 0.4/MIN_SCALE
    assert np.isfinite(sample(jax.random.key(0), state, 10, config)).all()


def test_options_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match=r"^embedding_dim=9: must be a multiple of num_heads=4$"):
        autoregressive.init(jax.random.key(0), autoregressive.Config(network="transformer", embedding_dim=9))
    with pytest.raises(ValueError, match=r"^num_bits=17: must be at most 16$"):
        autoregressive.init(jax.random.key(0), autoregressive.Config(num_bits=17))
