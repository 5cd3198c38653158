"""The GAN against a NumPy float64 reference, and each of its options against what it promises."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import jgen1d
from jgen1d import nets
from jgen1d.maths import losses
from jgen1d.methods import gan

SMALL = {"widths_g": (8,), "widths_d": (8,)}
BATCH = 64


def layers_of(params):
    """The NumPy float64 weights f[in, out] and biases f[out] of an MLP, layer by layer."""
    params = params["params"]
    names = [*range(len(params) // 2 - 1), "out"]
    return [(np.float64(params[f"kernel_{name}"]), np.float64(params[f"bias_{name}"])[:, 0]) for name in names]


def forward(layers, x):
    """The activations before each layer, and the output, of a ReLU MLP on f[n, in]."""
    inputs = []
    for i, (kernel, bias) in enumerate(layers):
        x = np.maximum(x, 0) if i else x
        inputs.append(x)
        x = x @ kernel + bias
    return inputs, x


def backward(layers, inputs, gradient):
    """Gradients of the layers, and of the first input, by the chain rule."""
    gradients = []
    for (kernel, _), x in zip(reversed(layers), reversed(inputs), strict=True):
        gradients.append((x.T @ gradient, gradient.sum(0)))
        gradient = (gradient @ kernel.T) * ((x > 0) if x is not inputs[0] else 1)
    return gradients[::-1], gradient


def adam_first_step(layers, gradients, learning_rate, beta1, beta2):
    """One Adam step from zero moments (Kingma & Ba 2015, algorithm 1)."""

    def new(weight, g):
        m, v = (1 - beta1) * g / (1 - beta1), (1 - beta2) * g**2 / (1 - beta2)
        return weight - learning_rate * m / (np.sqrt(v) + 1e-8)

    return [tuple(map(new, layer, g)) for layer, g in zip(layers, gradients, strict=True)]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


OPTIONS = {
    "saturating": {"generator_loss": "saturating"},
    "half_log": {"discriminator_loss": "half_log"},
    "least_squares": {"discriminator_loss": "least_squares", "generator_loss": "least_squares"},
    "hinge": {"discriminator_loss": "hinge", "generator_loss": "hinge", "spectral_norm": True},
    "wgan": {
        "discriminator_loss": "wasserstein",
        "generator_loss": "wasserstein",
        "weight_clip": 0.05,
        "critic_steps": 3,
    },
    "wgan_gp": {"discriminator_loss": "wasserstein", "generator_loss": "wasserstein", "gradient_penalty": 1.0},
    "penalties": {"r1": 0.1, "r2": 0.1, "ema_decay": 0.9, "max_grad_norm": 0.1},
    "noise": {"instance_noise": 0.5, "anneal_noise": True, "latent": "uniform", "activation": "tanh"},
    "packing": {"packing": 2, "critic_steps": 2, "optimizer": "optimistic_adam", "activation": "silu"},
    "fourier": {
        "fourier_features": 3,
        "frequencies": "octave",
        "coarse_to_fine": 0.5,
        "binary_latents": 2,
        "reference_steps": 40.0,
        "r1": 0.1,
        "r2": 0.1,
        "instance_noise": 0.5,
        "anneal_noise": True,
        "noise_until": 0.3,
    },
    "relativistic": {
        "discriminator_loss": "relativistic",
        "generator_loss": "relativistic",
        "r1": 0.1,
        "r2": 0.1,
        "instance_noise": 0.1,
    },
    "pacgan": {"packing": 2, "batch_norm": True, "maxout_pieces": 3, "updates": "simultaneous", "critic_steps": 2},
}


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options_train_and_keep_finite(options, dim):
    config = gan.Config(**SMALL, **{"dim": dim, "num_steps": 10, **options})
    rows = BATCH * gan.num_minibatches(config)

    def train(state, key):
        key_data, key_step = jax.random.split(key)
        return gan.step(key_step, state, jax.random.normal(key_data, (rows, dim)), config)

    def run(key):
        key_init, key_train, key_sample = jax.random.split(key, 3)
        state, info = jax.lax.scan(train, gan.init(key_init, config), jax.random.split(key_train, 5))
        logits = gan.discriminate(state, jnp.zeros((4, dim)), config)
        return state, info, gan.sample(key_sample, state, 5, config), logits

    state, info, samples, logits = jax.device_get(jax.jit(run)(jax.random.key(1)))
    assert all(np.isfinite(values).all() for values in info.values())
    assert set(info) == {"loss_g", "loss_d", "d_real", "d_fake", "grad_norm_g", "grad_norm_d"}
    assert samples.shape == (5, dim)
    assert logits.shape == (4,)
    if config.weight_clip:
        assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(state.params_d)) <= np.float32(config.weight_clip)


def one_step(**options):
    config = gan.Config(**{**SMALL, "ema_decay": None, "r1": None, **options})
    state = jax.jit(gan.init)(jax.random.key(0), config)
    batch = 2 + jax.random.normal(jax.random.key(1), (BATCH * gan.num_minibatches(config), 1))
    return *jax.device_get((state, *jax.jit(gan.step)(jax.random.key(2), state, batch, config))), config


def test_a_term_of_weight_zero_equals_a_term_that_is_absent():
    _, plain, _, _ = one_step()
    _, zero, _, _ = one_step(r1=0.0, r2=0.0, gradient_penalty=0.0)
    for a, b in zip(jax.tree.leaves(plain.params_d), jax.tree.leaves(zero.params_d), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_penalties_change_the_update_but_not_the_reported_loss():
    _, _, info, _ = one_step()
    for penalty in ("r1", "r2", "gradient_penalty"):
        _, _, info_penalised, _ = one_step(**{penalty: 100.0})
        np.testing.assert_allclose(info["loss_d"], info_penalised["loss_d"], rtol=1e-5)
        assert not np.isclose(info["grad_norm_d"], info_penalised["grad_norm_d"])


def test_weight_averaging_is_an_exponential_moving_average():
    before, after, _, config = one_step(ema_decay=0.75)
    expected = jax.tree.map(lambda old, new: 0.75 * old + 0.25 * new, before.ema_params_g, after.params_g)
    for a, b in zip(jax.tree.leaves(after.ema_params_g), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    z = jax.random.normal(jax.random.key(0), (5, config.latent_dim))
    raw = gan.generate(after, z, config.replace(ema_decay=None))
    assert not np.allclose(gan.generate(after, z, config), raw)


@pytest.mark.parametrize("latent", ["normal", "uniform"])
def test_the_last_latents_are_binary(latent):
    config = gan.Config(latent=latent, latent_dim=5, binary_latents=3)
    z = np.asarray(gan.latents(jax.random.key(0), 20_000, config))
    assert set(np.unique(z[:, 2:])) == {-1, 1}
    counts = np.unique(z[:, 2:], axis=0, return_counts=True)[1]  # all eight patterns are equally frequent
    assert scipy.stats.chisquare(counts).pvalue > 1e-3
    np.testing.assert_allclose(np.corrcoef(z.T), np.eye(5), atol=5 / np.sqrt(20_000))
    continuous = scipy.stats.norm if latent == "normal" else scipy.stats.uniform(-1, 2)
    assert scipy.stats.kstest(z[:, 0], continuous.cdf).pvalue > 1e-3
    levels = jnp.array([0.2, 0.7])
    np.testing.assert_allclose(gan.quantile(config)(levels), continuous.ppf(levels), rtol=1e-5)
    np.testing.assert_array_equal(gan.quantile(config.replace(latent_dim=3))(levels), [-1, 1])
    padded = gan.latents(jax.random.key(0), 20_000, config.replace(latent_dim=nets.Padded(8, jnp.array(5))))
    np.testing.assert_array_equal(padded[:, :5], z)


def test_rates_and_decays_are_for_a_run_of_the_reference_length():
    """A run four times as long has half the rates, and averages over four times as many steps."""
    state, plain, _, config = one_step(optimizer="adam", schedule="constant", ema_decay=0.9, beta2_d=0.96)
    batch = 2 + jax.random.normal(jax.random.key(1), (BATCH, 1))
    step = jax.jit(gan.step)
    reference = config.replace(reference_steps=500.0)
    same, _ = step(jax.random.key(2), state, batch, reference.replace(num_steps=500.0))
    chex.assert_trees_all_close(same, plain, rtol=1e-5, atol=1e-7)
    long, _ = step(jax.random.key(2), state, batch, reference.replace(num_steps=2_000.0))
    by_hand = config.replace(
        learning_rate_g=config.learning_rate_g / 2, learning_rate_d=config.learning_rate_d / 2,
        beta2_g=config.beta2_g**0.25, beta2_d=0.96**0.25, ema_decay=0.9**0.25,
    )  # fmt: skip
    expected, _ = step(jax.random.key(2), state, batch, by_hand)
    chex.assert_trees_all_close(long, expected, rtol=1e-5, atol=1e-7)
    short, _ = step(jax.random.key(2), state, batch, reference.replace(num_steps=5.0, ema_decay=None))
    moved = np.abs(jax.tree.leaves(short.params_d)[0] - jax.tree.leaves(state.params_d)[0]).max()
    assert moved <= 2.001 * config.learning_rate_d  # not the root of 100 times as fast


def test_the_discriminator_sees_fourier_features_of_x():
    state, _, _, config = one_step(fourier_features=3, frequencies="octave", dim=1, num_steps=100)
    x = np.linspace(-1, 1, 5)[:, None]
    waves = [wave(f * x) for f in (1, 2, 4) for wave in (np.sin, np.cos)]
    np.testing.assert_allclose(
        nets.with_fourier(x, jnp.array([1.0, 2.0, 4.0]), jnp.ones(3)), np.hstack([x, *waves]), atol=1e-6
    )
    assert state.params_d["params"]["kernel_0"].shape[0] == 7
    plain = nets.mlp(7, 1, config.widths_d, activation=config.activation)
    expected = plain(state.params_d, jnp.asarray(np.hstack([x, *waves]), jnp.float32))[:, 0]
    np.testing.assert_allclose(
        gan.discriminate(state, jnp.asarray(x, jnp.float32), config), expected, rtol=1e-5, atol=1e-6
    )


def test_features_enter_from_coarse_to_fine():
    """At a share s of the way, the k-th of K is off before Ks = k − 1, on from Ks = k, and half-way in between."""
    for progress, expected in [(0, [0, 0, 0, 0]), (0.25, [1, 0, 0, 0]), (0.375, [1, 0.5, 0, 0]), (1, [1, 1, 1, 1])]:
        np.testing.assert_allclose(nets.coarse_to_fine(progress, 4), expected, atol=1e-6)
    state, _, _, config = one_step(fourier_features=2, coarse_to_fine=0.5, num_steps=100.0)
    x = jnp.array([[0.3]])
    at = [gan.discriminate(state._replace(step=jnp.asarray(step)), x, config) for step in (0, 50, 100)]
    whole = gan.discriminate(state, x, config.replace(coarse_to_fine=None))
    assert not np.isclose(at[0], whole)
    np.testing.assert_allclose(at[1:], [whole, whole], rtol=1e-6)


def test_annealed_noise_ends_at_its_share_of_the_run():
    options = {"instance_noise": 3.0, "anneal_noise": True, "noise_until": 0.25, "num_steps": 100.0}
    state, _, _, config = one_step(**options)
    batch = 2 + jax.random.normal(jax.random.key(1), (BATCH, 1))
    step = jax.jit(gan.step)
    for number, equal in [(0, False), (24, False), (25, True), (99, True)]:
        now = state._replace(step=jnp.asarray(number))
        noisy, silent = (
            step(jax.random.key(2), now, batch, c)[1] for c in (config, config.replace(instance_noise=0.0))
        )
        assert (noisy["loss_d"] == silent["loss_d"]) == equal


def test_relativistic_losses_are_of_pairs():
    state, _, info, config = one_step(
        discriminator_loss="relativistic", generator_loss="relativistic", learning_rate_d=0.0
    )
    real = 2 + np.asarray(jax.random.normal(jax.random.key(1), (BATCH, 1)))
    z = gan.latents(jax.random.split(jax.random.key(2))[0], BATCH, config)
    fake = gan.generate(state, z, config)
    difference = np.asarray(gan.discriminate(state, real, config) - gan.discriminate(state, fake, config))
    np.testing.assert_allclose(info["loss_d"], np.log1p(np.exp(-difference)).mean(), rtol=1e-5)
    np.testing.assert_allclose(info["loss_g"], np.log1p(np.exp(difference)).mean(), rtol=1e-5)


def test_losses_of_pairs_and_of_single_samples_get_programs_of_their_own():
    pairs = {"discriminator_loss": "relativistic", "generator_loss": "relativistic"}
    configs = [gan.Config(**SMALL), gan.Config(**SMALL, **pairs)]
    done = jgen1d.sweep(gan.METHOD, [jgen1d.TARGETS["normal"]], configs, [0], 2, padding=True, num_samples=1_000)
    assert "in 2 programs" in done.explain()
    assert np.isfinite(done.metrics["w1"]).all()


def test_cosine_schedule_ends_at_rest():
    config = gan.Config(**SMALL, num_steps=1, schedule="cosine")
    state = jax.jit(gan.init)(jax.random.key(0), config)._replace(step=jnp.ones((), int))
    after, _ = jax.jit(gan.step)(jax.random.key(1), state, jnp.ones((BATCH, 1)), config)
    np.testing.assert_array_equal(after.params_d["params"]["kernel_0"], state.params_d["params"]["kernel_0"])


def test_packing_shows_the_discriminator_several_samples():
    state, _, _, config = one_step(packing=3)
    assert state.params_d["params"]["kernel_0"].shape[0] == 3
    assert gan.num_minibatches(config.replace(critic_steps=4)) == 12


def test_simultaneous_updates_move_the_generator_against_the_discriminator_before_its_own():
    _, together, info, _ = one_step(updates="simultaneous")
    _, _, info_at_rest, _ = one_step(learning_rate_d=0.0)
    _, in_turn, info_in_turn, _ = one_step()
    for name in ("loss_g", "grad_norm_g"):
        np.testing.assert_array_equal(info[name], info_at_rest[name])
        assert abs(info[name] - info_in_turn[name]) > 1e-3
    for name, weights in together.params_d["params"].items():
        np.testing.assert_array_equal(weights, in_turn.params_d["params"][name])


def test_batch_normalisation_samples_by_the_running_moments_of_training():
    state, after, _, config = one_step(batch_norm=True)
    moments = after.params_g["batch_stats"]["norm_0"]
    z = gan.latents(jax.random.split(jax.random.key(2))[0], BATCH, config)  # as step draws them
    units = np.float64(z) @ np.float64(state.params_g["params"]["kernel_0"])
    np.testing.assert_allclose(moments["mean"], 0.05 * units.mean(0), atol=1e-6)
    np.testing.assert_allclose(moments["var"], 0.95 + 0.05 * units.var(0), rtol=1e-5)
    together = gan.generate(after, z, config)
    np.testing.assert_allclose(gan.generate(after, z[:3], config), together[:3], rtol=1e-5, atol=1e-6)


def test_unrolled_generator_follows_the_slope_through_the_discriminators_answer():
    """Finite differences of G's loss at a discriminator that has answered, all in NumPy."""
    with jax.enable_x64(True):
        config = gan.Config(
            latent_dim=2, widths_g=(3,), widths_d=(4,), r1=None, ema_decay=None, schedule="constant",
            learning_rate_d=0.02, beta1_d=0.5, unrolled_steps=3,
        )  # fmt: skip
        state = jax.jit(gan.init)(jax.random.key(0), config)
        real = jax.random.normal(jax.random.key(1), (16, 1))
        _, info = jax.jit(gan.step)(jax.random.key(2), state, real, config)
        key_latents = jax.random.split(jax.random.split(jax.random.key(2))[0])[0]
        z = np.asarray(gan.latents(key_latents, 16, config))
        real, g, d = np.asarray(real), layers_of(state.params_g), layers_of(state.params_d)

    def answer(layers, moments, step, fake):
        """One Adam step of D."""
        gradients = None
        for x, push in ((real, lambda logit: -sigmoid(-logit)), (fake, sigmoid)):
            inputs, logits = forward(layers, x)
            new, _ = backward(layers, inputs, push(logits) / len(x))
            gradients = new if gradients is None else [
                tuple(a + b for a, b in zip(*pair, strict=True)) for pair in zip(gradients, new, strict=True)
            ]  # fmt: skip
        b1, b2 = config.beta1_d, config.beta2_d
        moments = [
            tuple((b1 * m + (1 - b1) * x, b2 * v + (1 - b2) * x**2) for (m, v), x in zip(*pair, strict=True))
            for pair in zip(moments, gradients, strict=True)
        ]
        layers = [
            tuple(
                w - config.learning_rate_d * m / (1 - b1**step) / (np.sqrt(v / (1 - b2**step) + 1e-12) + 1e-8)
                for w, (m, v) in zip(*pair, strict=True)
            )
            for pair in zip(layers, moments, strict=True)
        ]
        return layers, moments

    zeros = [tuple((np.zeros_like(w), np.zeros_like(w)) for w in layer) for layer in d]
    updated, moments = answer(d, zeros, 1, forward(g, z)[1])  # of the discriminator's own step G is no part

    def loss_g(g):
        layers, state, fake = updated, moments, forward(g, z)[1]
        for step in (2, 3, 4):
            layers, state = answer(layers, state, step, fake)
        return np.logaddexp(0, -forward(layers, fake)[1]).mean()

    np.testing.assert_allclose(info["loss_g"], loss_g(g), rtol=1e-6)
    slopes = []
    for i, layer in enumerate(g):
        for j, weights in enumerate(layer):
            for place in np.ndindex(weights.shape):
                ends = []
                for shift in (1e-6, -1e-6):
                    moved = [[w.copy() for w in layer] for layer in g]
                    moved[i][j][place] += shift
                    ends.append(loss_g(moved))
                slopes.append((ends[0] - ends[1]) / 2e-6)
    np.testing.assert_allclose(info["grad_norm_g"], np.linalg.norm(slopes), rtol=1e-4)


def test_minibatch_features_let_the_discriminator_see_the_other_points():
    state, after, info, config = one_step(minibatch_features=2, r1=None)
    alone, together = (gan.discriminate(state, jnp.full((n, 1), 0.3), config)[0] for n in (1, 5))
    np.testing.assert_allclose(alone, together, rtol=1e-6)  # equal points are as near as can be
    apart = gan.discriminate(state, jnp.array([[0.3], [3.0], [-3.0]]), config)[0]
    assert abs(apart - alone) > 1e-4
    assert all(np.isfinite(value) for value in info.values())
    assert (after.params_d["params"]["kernel_closeness"] != state.params_d["params"]["kernel_closeness"]).any()


def test_batch_that_cannot_be_split_is_refused():
    config = gan.Config(**SMALL, critic_steps=5)
    state = jax.eval_shape(gan.init, jax.random.key(0), config)
    with pytest.raises(ValueError, match=r"= \[k·5, 1\], not \[64, 1\]"):
        gan.step(jax.random.key(1), state, jnp.zeros((64, 1)), config)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"discriminator_loss": "hinge"}, "does not go with discriminator_loss='hinge': use hinge"),
        (
            {"discriminator_loss": "wasserstein", "generator_loss": "wasserstein"},
            "needs weight_clip, gradient_penalty or spectral_norm",
        ),
        ({"minibatch_features": 3}, "minibatch_features needs r1, r2 and gradient_penalty to be none"),
        ({"binary_latents": 6}, "binary_latents=6: at most latent_dim=5 latents can be binary"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        gan.init(jax.random.key(0), gan.Config(**options))


def test_loss_optimum_is_the_table_of_losses():
    assert gan.loss_optimum(gan.preset("textbook")) == {"loss_d": 2 * losses.LOG_2, "loss_g": losses.LOG_2}
    assert gan.loss_optimum(gan.preset("one_d")) == {"loss_d": losses.LOG_2, "loss_g": losses.LOG_2}
    assert gan.loss_optimum(gan.Config(discriminator_loss="hinge", generator_loss="hinge")) == {"loss_d": 2.0}
    assert gan.loss_optimum(gan.Config(generator_loss="saturating"))["loss_g"] == -losses.LOG_2


def test_presets_are_what_they_are_called():
    shape = {name: (c.latent_dim, c.widths_g, c.widths_d) for name, c in gan.PRESETS.items()}
    assert shape["textbook"] == shape["dcgan_like"] == (5, (15, 15), (25, 25))
    assert shape["playground"] == (10, (16,), (32,))
    assert shape["one_d"] == (1, (15, 15), (25, 25))
    assert shape["dcgan"] == (32, (64, 32, 16), (16, 32, 64))
    assert shape["pacgan"] == (2, (400,) * 4, (200,) * 3)
    assert gan.preset("regularized") == gan.Config()
    assert [gan.preset(name).binary_latents for name in ("robust", "planar", "textbook")] == [8, 8, 0]
    assert (gan.preset("dcgan_like").learning_rate_g, gan.preset("dcgan_like").beta1_d) == (2e-4, 0.5)


@pytest.mark.smoke
def test_jitted_vmapped_step_equals_a_numpy_float64_reference(fully_optimised):
    """Catches, besides mistakes of ours, releases of jaxlib that compute wrong numbers."""
    config = gan.preset("textbook")
    keys = jax.random.split(jax.random.key(0), 3)
    batch = jax.random.normal(jax.random.key(1), (256, 1))
    states = jax.jit(jax.vmap(gan.init, in_axes=(0, None)))(keys, config)
    step_keys = jax.random.split(jax.random.key(2), 3)
    step = jax.jit(jax.vmap(gan.step, in_axes=(0, 0, None, None)), compiler_options=fully_optimised)
    with jax.default_matmul_precision("highest"):  # on a GPU the default is TF32
        after, info = step(step_keys, states, batch, config)
    latents = jax.vmap(lambda key: gan.latents(jax.random.split(key)[0], 256, config))(jax.random.clone(step_keys))
    states, after, info, latents, batch = jax.device_get((states, after, info, latents, batch))
    for lane in range(3):
        state, new = (jax.tree.map(lambda leaf, lane=lane: leaf[lane], tree) for tree in (states, after))
        g, d = layers_of(state.params_g), layers_of(state.params_d)
        inputs_g, fake = forward(g, np.float64(latents[lane]))
        inputs_real, logits_real = forward(d, np.float64(batch))
        inputs_fake, logits_fake = forward(d, fake)
        loss_d = np.logaddexp(0, -logits_real).mean() + np.logaddexp(0, logits_fake).mean()
        on_real, _ = backward(d, inputs_real, (sigmoid(logits_real) - 1) / 256)
        on_fake, _ = backward(d, inputs_fake, sigmoid(logits_fake) / 256)
        gradients_d = [tuple(a + b for a, b in zip(r, f, strict=True)) for r, f in zip(on_real, on_fake, strict=True)]
        d = adam_first_step(d, gradients_d, 1e-3, 0.9, 0.999)
        inputs_fake, logits_fake = forward(d, fake)
        loss_g = np.logaddexp(0, -logits_fake).mean()
        _, on_samples = backward(d, inputs_fake, (sigmoid(logits_fake) - 1) / 256)
        gradients_g, _ = backward(g, inputs_g, on_samples)
        # Two routes to one number.
        np.testing.assert_allclose(info["loss_d"][lane], loss_d, rtol=1e-5)
        np.testing.assert_allclose(info["loss_g"][lane], loss_g, rtol=1e-5)
        np.testing.assert_allclose(info["d_real"][lane], sigmoid(logits_real).mean(), rtol=1e-5)
        norms = [np.sqrt(sum((a**2).sum() for layer in gs for a in layer)) for gs in (gradients_g, gradients_d)]
        np.testing.assert_allclose([info["grad_norm_g"][lane], info["grad_norm_d"][lane]], norms, rtol=1e-4)
        # Adam's first step is the gradient's sign times the rate: compare where the gradient is not rounding noise.
        for new_params, old, gradients in [(new.params_g, g, gradients_g), (new.params_d, None, gradients_d)]:
            expected = adam_first_step(old, gradients, 1e-3, 0.9, 0.999) if old else d
            for got, want, gradient in zip(layers_of(new_params), expected, gradients, strict=True):
                for a, b, slope in zip(got, want, gradient, strict=True):
                    clear = np.abs(slope) > 1e-5
                    np.testing.assert_allclose(a[clear], b[clear], atol=2e-6)
