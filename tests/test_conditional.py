"""Models of data given labels: what labels are, what networks make of them, guidance, and what each class's law is."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

import jgen1d
from jgen1d import TARGETS, nets
from jgen1d.evaluation import metrics, theory
from jgen1d.maths import integrate, paths
from jgen1d.methods import METHODS, _guidance, diffusion, flow_matching, gan, vae
from jgen1d.targets import mixture
from tests.tolerances import tolerance

SMALL = {
    "diffusion": {"widths": (8,), "num_sampling_steps": 4},
    "flow_matching": {"widths": (8,), "num_frequencies": 2, "num_integration_steps": 24},
    "gan": {"widths_g": (8,), "widths_d": (8,), "latent_dim": 2},
    "vae": {"widths": (8,)},
}
WEIGHTS, CENTERS, SCALES = [0.25, 0.75], [-0.5, 1.0], [1.0, 0.5]
OVERLAPPING = mixture(WEIGHTS, CENTERS, SCALES, name="overlapping")


@pytest.fixture(params=SMALL)
def name(request):
    return request.param


def small(name, **options):
    return METHODS[name].Config(**SMALL[name] | {"num_classes": 2, "num_steps": 10} | options)


@functools.cache
def compiled(name):
    """The method with its functions compiled."""
    method = METHODS[name]
    return method._replace(
        init=jax.jit(method.init),
        step=jax.jit(method.step),
        sample=jax.jit(method.sample, static_argnums=2),
        log_prob=method.log_prob and jax.jit(method.log_prob),
    )


def test_labels_are_drawn_from_the_exact_posterior():
    x = jnp.repeat(jnp.array([-1.0, 0.0, 0.4, 2.0]), 20_000)[:, None]
    labels = np.asarray(OVERLAPPING.label(jax.random.key(0), x)).reshape(4, -1)
    joint = [w * scipy.stats.norm(c, s).pdf(x[::20_000, 0]) for w, c, s in zip(WEIGHTS, CENTERS, SCALES, strict=True)]
    share = joint[1] / (joint[0] + joint[1])
    np.testing.assert_allclose(labels.mean(axis=1), share, atol=5 * 0.5 / np.sqrt(20_000))
    np.testing.assert_array_equal(OVERLAPPING.most_probable_label(x[::20_000]), share > 0.5)


def test_rows_of_one_label_have_the_law_of_its_mode():
    x = OVERLAPPING.sample(jax.random.key(1), 40_000)
    labels = np.asarray(OVERLAPPING.label(jax.random.key(2), x))
    for k in range(2):
        law = scipy.stats.norm(CENTERS[k], SCALES[k])
        assert scipy.stats.kstest(np.asarray(x)[labels == k, 0], law.cdf).pvalue > 1e-4
        u = np.linspace(0.01, 0.99, 9)
        np.testing.assert_allclose(OVERLAPPING.mode(k).quantile(u), law.ppf(u), rtol=1e-5, atol=1e-5)
    ring = TARGETS["ring"]
    np.testing.assert_allclose(ring.mode(3).mean, np.asarray(ring.modes.centers)[3], rtol=1e-6)
    np.testing.assert_allclose(ring.mode(3).std, [0.01, 0.01], rtol=1e-6)


@pytest.mark.parametrize("widths", [(), (5,), (5, 4)])
def test_a_network_with_classes_is_one_of_the_input_and_the_one_hot_label(widths):
    net = nets.mlp(2, 3, widths, activation="tanh", num_classes=4)
    params = net.init(jax.random.key(0))
    x, labels = jax.random.normal(jax.random.key(1), (6, 2)), np.array([0, 3, 1, 1, -1, 2])
    layers = {name: np.asarray(value) for name, value in params["params"].items()}
    order = [*range(len(widths)), "out"]
    h = np.concatenate([np.asarray(x), np.eye(5)[labels][:, :4]], axis=1)  # no column for the label −1
    layers[f"kernel_{order[0]}"] = np.concatenate([layers[f"kernel_{order[0]}"], layers["kernel_class"]])
    for i, layer in enumerate(order):
        h = h @ layers[f"kernel_{layer}"] + layers[f"bias_{layer}"][:, 0]
        h = h if i == len(widths) else np.tanh(h)
    np.testing.assert_allclose(net.apply(params, x, labels), h, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(net.apply(params, x)[4], h[4], rtol=1e-5, atol=1e-6)
    plain = nets.mlp(2, 3, widths, activation="tanh").init(jax.random.key(0))
    for layer, weights in plain["params"].items():
        np.testing.assert_array_equal(weights, params["params"][layer])


@pytest.mark.parametrize("widths", [(), (5,)])
def test_a_network_with_a_real_condition_is_one_of_the_input_and_the_condition(widths):
    net, joint = nets.mlp(2, 3, widths, condition_dim=4), nets.mlp(6, 3, widths)
    params = net.init(jax.random.key(0))
    x, given = jax.random.normal(jax.random.key(1), (6, 2)), jax.random.normal(jax.random.key(2), (6, 4))
    layers = dict(params["params"])
    first = "kernel_0" if widths else "kernel_out"
    layers[first] = jnp.concatenate([layers[first], layers.pop("kernel_class")])
    expected = joint.apply({"params": layers}, jnp.concatenate([x, given], axis=1))
    np.testing.assert_allclose(net.apply(params, x, given), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="condition_dim=4 does not go with num_classes=2"):
        nets.mlp(2, 3, widths, num_classes=2, condition_dim=4)


@pytest.mark.parametrize("name", ["vae", "flow_matching"])
@pytest.mark.usefixtures("optimised")
def test_a_real_condition_moves_the_model(name):
    """Data N(2c, 0.3²): the model is to follow c, which it is given."""
    small = {"vae": {"prior_components": 0, "latent_dim": 1}, "flow_matching": {"fourier_features": 2}}[name]
    module = {"vae": vae, "flow_matching": flow_matching}[name]
    config = module.Config(condition_dim=1, widths=(8,), num_steps=400.0, ema_decay=0.9, **small)

    def train(i, state):
        key = jax.random.fold_in(jax.random.key(1), i)
        key_c, key_x, key_step = jax.random.split(key, 3)
        c = jax.random.uniform(key_c, (128, 1), minval=-1)
        x = 2 * c + 0.3 * jax.random.normal(key_x, (128, 1))
        return module.step(key_step, state, x, config, condition=c)[0]

    state = jax.jit(lambda: jax.lax.fori_loop(0, 400, train, module.init(jax.random.key(0), config)))()
    c = jnp.repeat(jnp.array([-0.8, 0.0, 0.8]), 2_000)[:, None]
    draw = jax.jit(lambda key: module.sample(key, state, len(c), config, condition=c))
    drawn = np.asarray(draw(jax.random.key(2))).reshape(3, -1)
    np.testing.assert_allclose(drawn.mean(axis=1), [-1.6, 0, 1.6], atol=0.15)
    np.testing.assert_allclose(drawn.std(axis=1), 0.3, rtol=0.5)  # of all data: 1.2
    with pytest.raises(ValueError, match=r"condition: must be real numbers \[4, 1\], not float32\[4\]"):
        module.step(jax.random.key(0), state, jnp.zeros((4, 1)), config, condition=jnp.zeros(4))
    with pytest.raises(ValueError, match=r"condition: condition_dim=1 needs real numbers, f32\[n, 1\]"):
        module.step(jax.random.key(0), state, jnp.zeros((4, 1)), config)


def test_dropped_labels_are_the_stated_share():
    labels = jnp.arange(20_000) % 3
    kept = np.asarray(_guidance.drop(jax.random.key(0), labels, flow_matching.Config(num_classes=3, label_dropout=0.2)))
    np.testing.assert_allclose((kept < 0).mean(), 0.2, atol=5 * 0.4 / np.sqrt(20_000))
    np.testing.assert_array_equal(kept[kept >= 0], np.asarray(labels)[kept >= 0])


def test_guided_flow_with_the_exact_velocities_is_that_of_scipy():
    """(1 + w)·v(x|label) − w·v(x) in closed form, solved by an adaptive integrator."""
    weight, label = 1.5, 1
    config = flow_matching.Config(num_classes=2, guidance=weight)

    def predict(x, t):
        def exact(condition):
            target = OVERLAPPING if condition is None else OVERLAPPING.mode(label)
            return theory.velocity(target, x, paths.FLOWS["linear"], t)

        return _guidance.guide(exact, jnp.full(len(x), label), config)

    noise = jnp.array([[-1.5], [-0.3], [0.0], [0.8], [2.0]])
    end, _ = integrate.solve(predict, noise, jnp.linspace(0, 0.99, 400), "heun")

    def slope(t, x):
        """v = E[data − noise | x] of normal modes, where x = t·data + (1 − t)·noise."""
        parts, means = [], []
        for w, c, s in zip(WEIGHTS, CENTERS, SCALES, strict=True):
            variance = t**2 * s**2 + (1 - t) ** 2
            parts.append(w * scipy.stats.norm(t * c, np.sqrt(variance)).pdf(x))
            means.append(c + (t * s**2 - (1 - t)) / variance * (x - t * c))
        free = (parts[0] * means[0] + parts[1] * means[1]) / (parts[0] + parts[1])
        return (1 + weight) * means[label] - weight * free

    exact = scipy.integrate.solve_ivp(slope, (0, 0.99), np.asarray(noise)[:, 0], rtol=1e-8, atol=1e-8).y[:, -1]
    np.testing.assert_allclose(end[:, 0], exact, rtol=1e-3, atol=1e-3)


def test_without_weight_guidance_changes_nothing(name):
    if name in ("gan", "vae"):
        pytest.skip("guidance is of scores")
    method, labels = compiled(name), jnp.arange(8) % 2
    state = method.init(jax.random.key(0), small(name))
    draws = [
        method.sample(jax.random.key(1), state, 8, small(name, guidance=weight), condition=labels)
        for weight in (None, 0.0, 2.0)
    ]
    np.testing.assert_allclose(draws[0], draws[1], rtol=1e-5, atol=1e-5)
    assert np.abs(draws[0] - draws[2]).max() > 1e-3


def test_a_step_keeps_the_state_and_depends_on_the_labels(name):
    method, config = compiled(name), small(name)
    state = method.init(jax.random.key(0), config)
    batch, labels = jax.random.normal(jax.random.key(1), (16, 1)), jnp.arange(16) % 2
    after, info = method.step(jax.random.key(2), state, batch, config, condition=labels)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert all(np.isfinite(value) for value in info.values())
    other, _ = method.step(jax.random.key(2), state, batch, config, condition=1 - labels)
    assert any((a != b).any() for a, b in zip(jax.tree.leaves(after), jax.tree.leaves(other), strict=True))
    draws = [method.sample(jax.random.key(3), after, 16, config, condition=jnp.full(16, k)) for k in range(2)]
    assert draws[0].shape == (16, 1)
    assert (draws[0] != draws[1]).all()


def test_each_label_has_a_normalised_density_of_its_samples(name):
    method, config = compiled(name), small(name)
    if method.log_prob is None:
        pytest.skip("the method's density is intractable")
    state = method.init(jax.random.key(0), config)
    x = jnp.linspace(-30, 30, 10_001)
    for k in range(2):
        density = np.exp(method.log_prob(state, x[:, None], config, condition=jnp.full(len(x), k)))
        np.testing.assert_allclose(np.trapezoid(density, x), 1, atol=2e-3)
        draws = np.asarray(method.sample(jax.random.key(2), state, 20_000, config, condition=jnp.full(20_000, k)))
        error = 5 * draws.std() / np.sqrt(len(draws))  # 5 standard errors
        np.testing.assert_allclose(draws.mean(), np.trapezoid(density * x, x), atol=error)


def test_what_does_not_fit_is_named(name):
    method, config = compiled(name), small(name)
    state = method.init(jax.random.key(0), config)
    batch = jnp.zeros((4, 1))
    with pytest.raises(ValueError, match=r"condition: num_classes=2 needs labels, i32\[n\]"):
        method.step(jax.random.key(0), state, batch, config)
    with pytest.raises(ValueError, match=r"condition: must be integers \[4\], not float32\[4\]"):
        method.step(jax.random.key(0), state, batch, config, condition=jnp.zeros(4))
    free = small(name, num_classes=0)
    state = method.init(jax.random.key(0), free)
    with pytest.raises(ValueError, match="condition: labels need a config with num_classes above 0"):
        method.sample(jax.random.key(0), state, 4, free, condition=jnp.zeros(4, int))
    with pytest.raises(ValueError, match="num_classes=2: the target 'mixture' has 3 modes to be labels"):
        jgen1d.fit(jax.random.key(0), method, TARGETS["mixture"], config, num_steps=1)
    with pytest.raises(ValueError, match="num_classes=2: the target 'uniform' has no modes to be labels"):
        jgen1d.sweep(method, [TARGETS["uniform"]], [config], [0], num_steps=1)


def test_options_that_do_not_go_with_labels_are_named():
    with pytest.raises(ValueError, match="packing does not go with num_classes"):
        gan.init(jax.random.key(0), gan.Config(num_classes=2, packing=2))
    with pytest.raises(ValueError, match="coupling='transport' does not go with num_classes"):
        flow_matching.init(jax.random.key(0), flow_matching.Config(num_classes=2, coupling="transport"))


@pytest.fixture(scope="module")
def done():
    """Two separate classes of unequal weight, learnt in a few hundred steps."""
    config = flow_matching.Config(
        num_classes=2, widths=(16,), num_frequencies=2, num_integration_steps=20, ema_decay=None
    )
    return jgen1d.sweep(flow_matching.METHOD, [TARGETS["two_normals"]], [config], range(2), num_steps=800)


def test_a_trained_model_draws_what_its_label_says(done):
    accuracy = done.metrics["class_accuracy"][0, 0]
    assert accuracy.shape == (2, 2)
    assert (accuracy > 0.98).all()
    result = done.result(0, 0, 0)
    for k, (center, share) in enumerate([(-5.0, 0.25), (2.0, 0.75)]):
        draws = np.asarray(result.sample(jax.random.key(3), 4_000, k))
        np.testing.assert_allclose(draws.mean(), center, atol=0.5)
        np.testing.assert_allclose(result.metrics["mode_mass"][k], share, atol=0.03)
    assert result.metrics["class_w1_over_floor"].shape == (2,)


def test_the_density_of_all_is_the_mixture_of_the_classes(done):
    result = done.result(0, 0, 1)
    x = np.linspace(-15, 12, 4_001)[:, None]
    density = np.exp(result.log_prob(x))
    np.testing.assert_allclose(np.trapezoid(density, x[:, 0]), 1, atol=0.01)
    parts = [np.exp(result.log_prob(x, k)) for k in range(2)]
    np.testing.assert_allclose(density, 0.25 * parts[0] + 0.75 * parts[1], rtol=1e-4, atol=1e-6)
    for wrong in (2, -1, 0.5, [0, 1]):
        with pytest.raises(ValueError, match="condition: must be an integer, or 4 of them, from 0 to 1"):
            result.sample(jax.random.key(0), 4, wrong)


def test_classes_of_a_perfect_sampler_score_what_is_expected():
    draws = OVERLAPPING.mode(1).sample(jax.random.key(4), 4_000)
    scores = metrics.evaluate_class(draws, OVERLAPPING, jnp.array(1))
    assert 0.4 < scores["class_w1_over_floor"] < 2

    def is_right(x):
        joint = [w * scipy.stats.norm(c, s).pdf(x) for w, c, s in zip(WEIGHTS, CENTERS, SCALES, strict=True)]
        return (joint[1] > joint[0]) * scipy.stats.norm(CENTERS[1], SCALES[1]).pdf(x)

    x = np.linspace(-5, 7, 100_001)
    np.testing.assert_allclose(scores["class_accuracy"], np.trapezoid(is_right(x), x), atol=5 * 0.5 / np.sqrt(4_000))


def test_one_run_is_the_sweeps():
    config = small("gan")
    alone = jgen1d.fit(jax.random.key(3), gan.METHOD, TARGETS["bimodal"], config, num_steps=4, num_samples=1_000)
    lanes = jgen1d.sweep(gan.METHOD, [TARGETS["bimodal"]], [config], [3], num_steps=4, num_samples=1_000)
    for metric, value in alone.metrics.items():
        np.testing.assert_allclose(lanes.metrics[metric][0, 0, 0], value, rtol=1e-3, atol=1e-4, err_msg=metric)


def test_networks_of_different_sizes_share_a_program():
    configs = jgen1d.grid(small("gan"), width=[4, 8])
    together, apart = (
        jgen1d.sweep(gan.METHOD, [TARGETS["bimodal"]], configs, [0], num_steps=4, num_samples=1_000, padding=padding)
        for padding in (True, False)
    )
    assert "cannot be padded" not in together.explain()
    for metric, values in apart.metrics.items():
        np.testing.assert_allclose(together.metrics[metric], values, err_msg=metric, **tolerance(metric, 1e-4, 1e-5))


def test_vae_bounds_of_labels_lie_below_the_likelihood():
    config = small("vae", num_importance=256)
    state = compiled("vae").init(jax.random.key(0), config)
    x, labels = jnp.linspace(-2, 2, 6)[:, None], jnp.arange(6) % 2
    exact = compiled("vae").log_prob(state, x, config, condition=labels)
    keys = jax.random.split(jax.random.key(1), 200)
    loose, tight = (
        np.asarray(jax.jit(jax.vmap(bound))(jax.random.clone(keys)))
        for bound in (
            lambda key: vae.elbo(key, state, x, config, condition=labels),
            lambda key: vae.importance_weighted_bound(key, state, x, 8, config, condition=labels),
        )
    )
    errors = 5 * np.hypot(loose.std(axis=0), tight.std(axis=0)) / np.sqrt(200)
    assert (loose.mean(axis=0) < tight.mean(axis=0) + errors).all()
    assert (tight.mean(axis=0) < exact + errors).all()
    other = compiled("vae").log_prob(state, x, config, condition=1 - labels)
    assert np.abs(other - exact).min() > 1e-3


def test_score_and_velocity_take_labels():
    config = small("diffusion")
    state = compiled("diffusion").init(jax.random.key(0), config)
    x, labels, t = jnp.linspace(-1, 1, 4)[:, None], jnp.array([0, 1, 0, 1]), jnp.array(0.5)
    for function in map(jax.jit, (diffusion.score, diffusion.velocity)):
        given = function(state, x, t, config, labels)
        for k in range(2):
            alone = function(state, x, t, config, jnp.full(4, k))
            np.testing.assert_allclose(given[k::2], alone[k::2], rtol=1e-5, atol=1e-6)
        assert not np.allclose(given, function(state, x, t, config))
