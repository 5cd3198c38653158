"""Every target against scipy.stats, or against quadrature by another route.

The oracles are float64. With `x64` the library is too, and only its algorithms err; in float32 the tolerances are those
of the rounding.
"""

import dataclasses
import functools
import math
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from jgen1d import targets
from jgen1d.targets import TARGETS, Target


class Oracle(NamedTuple):
    """A 1-D distribution by scipy, and `cells`: its density is smooth between them, and all its mass lies inside."""

    pdf: Callable
    logpdf: Callable
    cdf: Callable
    ppf: Callable
    cells: np.ndarray
    scale: float  # the least width of anything in it
    levels: np.ndarray  # where its cdf may be flat


def resample(cells, num):
    """As dense as `cells` everywhere, but `num` of them: all distributions then run through one compiled program."""
    return np.interp(np.linspace(0, 1, num), np.linspace(0, 1, len(cells)), cells)


def mixture_oracle(weights, centers, scales):
    weights, centers, scales = (np.array(values, float) for values in (weights, centers, scales))
    weights = weights / weights.sum()

    def z(x):
        return (np.asarray(x)[..., None] - centers) / scales

    def cdf(x):
        return special.ndtr(z(x)) @ weights

    def logpdf(x):
        return special.logsumexp(stats.norm.logpdf(z(x)) - np.log(scales), b=weights, axis=-1)

    def ppf(u):
        low, high = np.full(u.shape, (centers - 40 * scales).min()), np.full(u.shape, (centers + 40 * scales).max())
        for _ in range(100):  # bisection of F, or of 1 − F if that is smaller
            middle = (low + high) / 2
            above = np.where(u < 0.5, cdf(middle) >= u, special.ndtr(-z(middle)) @ weights <= 1 - u)
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return high

    cells = np.unique((centers + scales * np.linspace(-12, 12, 97)[:, None]).ravel())
    levels = np.cumsum(weights[np.argsort(centers)])[:-1]
    return Oracle(lambda x: np.exp(logpdf(x)), logpdf, cdf, ppf, resample(cells, 400), scales.min(), levels)


def scipy_oracle(distribution, low, high, scale):
    return Oracle(
        distribution.pdf,
        distribution.logpdf,
        distribution.cdf,
        distribution.ppf,
        np.linspace(low, high, 400),
        scale,
        np.zeros(0),
    )


class TwoTriangles:
    """Half of the mass on (0, 2), half on (5, 6), nothing between."""

    left, right = stats.triang(c=0.5, loc=0, scale=2), stats.triang(c=0.25, loc=5, scale=1)

    def pdf(self, x):
        return (self.left.pdf(x) + self.right.pdf(x)) / 2

    def logpdf(self, x):
        with np.errstate(divide="ignore"):
            return np.log(self.pdf(x))

    def cdf(self, x):
        return (self.left.cdf(x) + self.right.cdf(x)) / 2

    def ppf(self, u):
        return np.where(u <= 0.5, self.left.ppf(np.minimum(2 * u, 1)), self.right.ppf(np.maximum(2 * u - 1, 0)))


MIXTURES = {
    "normal": ([1.0], [4.0], [0.5]),
    "bimodal": ([0.5, 0.5], [2.0, 6.0], [0.4, 0.4]),
    "mixture": ([0.33, 0.33, 0.34], [1.5, 4.0, 7.0], [0.3, 0.4, 0.25]),
    "two_normals": ([0.25, 0.75], [-5.0, 2.0], [1.0, 1.0]),
}
FACTORY_MIXTURES = {
    "narrow and wide": ([1.0, 1.0], [50.0, 0.0], [0.01, 100.0]),
    "narrow on wide": ([2.0, 1.0], [0.0, 0.0], [0.01, 100.0]),
    "wide gap": ([0.2, 0.8], [-1000.0, 1000.0], [1.0, 0.5]),
    "unequal weights": ([1e-3, 1.0, 1e-3], [-4.0, 0.0, 1.0], [0.1, 1.0, 0.05]),
}
CASES: dict[str, tuple[Target, Oracle]] = {
    **{name: (TARGETS[name], mixture_oracle(*arguments)) for name, arguments in MIXTURES.items()},
    **{name: (targets.mixture(*arguments), mixture_oracle(*arguments)) for name, arguments in FACTORY_MIXTURES.items()},
    "normal(-1, 3)": (targets.normal(-1, 3), mixture_oracle([1.0], [-1.0], [3.0])),
    "uniform": (TARGETS["uniform"], scipy_oracle(stats.uniform(2, 4), 2, 6, 4.0)),
    "uniform(-3, -1)": (targets.uniform(-3, -1), scipy_oracle(stats.uniform(-3, 2), -3, -1, 2.0)),
    "exponential": (TARGETS["exponential"], scipy_oracle(stats.expon(scale=2), 0, 80, 2.0)),
    "triangle": (
        targets.piecewise_linear([-1, 0, 2], [0, 5, 0]),
        scipy_oracle(stats.triang(c=1 / 3, loc=-1, scale=3), -1, 2, 1.0),
    ),
    "two triangles": (
        targets.piecewise_linear([0, 1, 2, 5, 5.25, 6], [0, 1, 0, 0, 2, 0]),
        scipy_oracle(TwoTriangles(), 0, 399 / 60, 1.0),  # cells that end at the knots
    ),
    "exponential(20)": (targets.exponential(20), scipy_oracle(stats.expon(scale=0.05), 0, 2, 0.05)),
}
each_case = pytest.mark.parametrize("case", CASES)
each_precision = pytest.mark.parametrize("x64", [False, True], ids=["float32", "float64"])
log_prob = jax.jit(Target.log_prob)
sample = jax.jit(Target.sample, static_argnums=2)


def nameless(target):
    """Without its name, which is static, a target shares the compiled program of its family."""
    return dataclasses.replace(target, name="")


@jax.jit
def evaluate(target, x, u):
    """The log density and the cdf at x, and the quantiles of u and of the cdf."""
    cdf = target.cdf(x)
    return target.log_prob(x[:, None]), cdf, *jnp.split(target.quantile(jnp.concatenate([u, cdf])), [len(u)])


def points(oracle):
    """Points x in and around a distribution, and levels u: rounded to float32, so that the oracle sees the same."""
    outside = oracle.cells[[0, -1]] + np.array([-1.0, 1.0]) * oracle.scale
    x = np.concatenate([outside[:1], oracle.cells, outside[1:]]).astype(np.float32)
    tails = np.array([2.0**-24, 1e-6, 1e-5, 1e-4, 1e-3, 1 - 1e-4, 1 - 1e-6, 1 - 2.0**-24])
    levels = np.float32(oracle.levels)
    around = np.concatenate([levels, np.nextafter(levels, np.float32(0)), np.nextafter(levels, np.float32(1))])
    inside = (np.arange(400 - len(tails) - len(around)) + 0.5) / (400 - len(tails) - len(around))
    return x, np.sort(np.concatenate([tails, around, inside]).astype(np.float32))


@functools.cache
def evaluated(case, x64):
    """x, u, and what `evaluate` makes of them, all as float64."""
    target, oracle = CASES[case]
    x, u = points(oracle)
    with jax.enable_x64(x64):
        results = evaluate(nameless(target), *(jnp.asarray(values, dtype=float) for values in (x, u)))
        return tuple(np.asarray(values, float) for values in (x, u, *results))


# --- one dimension ------------------------------------------------------------------------------------------------


@each_precision
@each_case
def test_log_prob_and_cdf(case, x64):
    oracle = CASES[case][1]
    x, _, log_density, cdf, _, _ = evaluated(case, x64)
    np.testing.assert_allclose(log_density, oracle.logpdf(x), rtol=1e-11 if x64 else 1e-5, atol=1e-11 if x64 else 1e-5)
    np.testing.assert_allclose(cdf, oracle.cdf(x), rtol=1e-11 if x64 else 1e-4, atol=1e-14 if x64 else 1e-6)


@each_case
def test_density_integrates_to_the_cdf_mean_and_std(case):
    target, oracle = CASES[case]
    nodes, weights = np.polynomial.legendre.leggauss(10)
    half, middle = np.diff(oracle.cells)[:, None] / 2, (oracle.cells[1:] + oracle.cells[:-1])[:, None] / 2
    x = middle + half * nodes
    with jax.enable_x64(True):
        mass = np.exp(log_prob(nameless(target), x.reshape(-1, 1))).reshape(x.shape) * weights * half
    mean = (x * mass).sum()
    assert mass.sum() == pytest.approx(1.0, rel=1e-8)
    # This uses the oracle's cdf; the test above compares the library's with it.
    np.testing.assert_allclose(np.cumsum(mass.sum(axis=1)), oracle.cdf(oracle.cells[1:]), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(target.mean, [mean], rtol=1e-8, atol=1e-8 * oracle.scale)
    np.testing.assert_allclose(target.std, [math.sqrt(((x - mean) ** 2 * mass).sum())], rtol=1e-8)


@each_case
def test_quantile_in_float32(case):
    oracle = CASES[case][1]
    _, u, _, _, x, _ = evaluated(case, False)
    assert np.isfinite(x).all()
    # In float32 the error of F is 6e-8, relative in the lower tail, and that of x is its spacing.
    spacing = np.spacing(np.abs(x).astype(np.float32)).astype(float)
    allowed = np.minimum(1e-6, 1e-4 * u) + 2 * spacing * oracle.pdf(x)
    assert np.max(np.abs(oracle.cdf(x) - u) / allowed) < 1
    apart = np.diff(u) > 1e-5
    assert (np.diff(x)[apart] >= 0).all()


@each_case
def test_quantile_in_float64(case):
    oracle = CASES[case][1]
    _, u, _, _, x, _ = evaluated(case, True)
    allowed = 1e-5 * np.minimum(u, 1 - u)
    assert np.max(np.abs(oracle.cdf(x) - u) / allowed) < 1
    error = np.abs(x - oracle.ppf(u)) * oracle.pdf(x)  # the error in x, converted to u
    assert np.max(error / allowed) < 1


@each_precision
@each_case
def test_quantile_inverts_cdf(case, x64):
    oracle = CASES[case][1]
    x, _, _, u, _, back = evaluated(case, x64)
    inside = (u > 1e-6) & (u < 1 - 1e-6)
    x, u, back = x[inside], u[inside], back[inside]
    spacing = np.spacing(np.abs(x).astype(float if x64 else np.float32)).astype(float)
    density = np.maximum(oracle.pdf(x), oracle.pdf(back))
    allowed = (1e-5 * np.minimum(u, 1 - u) if x64 else 1e-6) + 2 * spacing * density
    flat = density * oracle.scale < (1e-9 if x64 else 1e-5)  # F cannot tell two points apart there
    assert np.max(np.where(flat, 0, np.abs(back - x) * density / allowed)) < 1


def test_methods_take_any_shape():
    for target in (TARGETS["bimodal"], TARGETS["uniform"], TARGETS["exponential"], targets.empirical([1.0, 2.0])):
        for shape in ((), (3,), (2, 3)):
            assert jax.eval_shape(target.cdf, np.full(shape, 2.5)).shape == shape
            assert jax.eval_shape(target.quantile, np.full(shape, 0.5)).shape == shape


def test_score_is_finite_far_from_a_mixture():
    score = jax.jit(jax.grad(lambda x: TARGETS["mixture"].log_prob(x)[0]))
    np.testing.assert_allclose(score(np.array([[1000.0]], np.float32)), [[-(1000.0 - 4.0) / 0.4**2]], rtol=1e-5)


# --- sampling -----------------------------------------------------------------------------------------------------


def test_uniforms_are_the_midpoints_of_the_cells():
    u = np.asarray(targets.uniforms(jax.random.key(0), (10_000,)), float)
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    assert (u * 2**24 % 2 == 1).all()  # 2^23 cells, each with its midpoint at an odd multiple of 2^-24
    with jax.enable_x64(True):
        u = np.asarray(targets.uniforms(jax.random.key(0), (10_000,)))
    assert (u * 2**53 % 2 == 1).all()


@each_case
def test_samples_follow_the_distribution(case):
    target, oracle = CASES[case]
    n = 20_000
    x = sample(nameless(target), jax.random.key(0), n)
    assert (x.shape, x.dtype) == ((n, 1), np.float32)
    x = np.asarray(x[:, 0], float)
    assert stats.kstest(x, oracle.cdf).pvalue > 1e-3
    z = (x - target.mean[0]) / target.std[0]
    assert abs(z.mean()) < 4 / math.sqrt(n)  # 4 standard errors, here and below
    assert abs((z**2).mean() - 1) < 4 * (z**2).std() / math.sqrt(n)


def test_sampling_is_inverse_transform_sampling():
    target, n = nameless(TARGETS["bimodal"]), 20_000
    u = targets.uniforms(jax.random.key(0), (n, 1))
    x = jax.jit(Target.quantile)(target, u)
    np.testing.assert_allclose(sample(target, jax.random.key(0), n), x, rtol=1e-5)


def test_samples_depend_on_the_key_alone():
    first, again, other = (sample(nameless(TARGETS["ring"]), jax.random.key(seed), 10_000) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (np.asarray(first) != np.asarray(other)).any(axis=1).all()


# --- two dimensions -----------------------------------------------------------------------------------------------

RING_CENTERS = np.array([[math.cos(k * math.pi / 4), math.sin(k * math.pi / 4)] for k in range(8)])
GRID_CENTERS = np.array([[a, b] for a in (-4, -2, 0, 2, 4) for b in (-4, -2, 0, 2, 4)], float)
SKEW = (np.arange(1, 9) / 36, np.outer(np.arange(8), [40.0, -15.0]), np.linspace(0.25, 2.0, 8))
PLANAR = {
    "ring": (TARGETS["ring"], np.ones(8) / 8, RING_CENTERS, np.full(8, 0.01)),
    "grid": (TARGETS["grid"], np.ones(25) / 25, GRID_CENTERS, np.full(25, 0.05)),
    "skew": (targets.mixture(*SKEW), *SKEW),
}
each_planar = pytest.mark.parametrize("case", PLANAR)


def planar_log_prob(weights, centers, scales, x):
    components = zip(centers, scales, strict=True)
    logs = np.stack([stats.multivariate_normal(c, s**2 * np.eye(2)).logpdf(x) for c, s in components])
    return special.logsumexp(logs, axis=0, b=weights[:, None])


@each_planar
def test_planar_log_prob(case):
    target, weights, centers, scales = PLANAR[case]
    offsets = np.stack(np.meshgrid(np.linspace(-4, 4, 5), np.linspace(-4, 4, 5)), axis=-1).reshape(-1, 2)
    x = (centers[:, None] + scales[:, None, None] * offsets).reshape(-1, 2)
    x = np.concatenate([x, [[0.0, 0.0], [30.0, -7.0]]]).astype(np.float32)
    expected = planar_log_prob(weights, centers, scales, x.astype(float))
    # In float32 a centre's relative error is 6e-8; the exponent's error is that times the distance over scale².
    distance = np.linalg.norm(x[:, None] - centers, axis=2)
    slope = (distance / scales**2)[np.arange(len(x)), np.argmin(distance / scales, axis=1)]
    allowed = 1e-5 * (1 + np.abs(expected)) + 4 * 6e-8 * np.abs(centers).max() * slope
    assert np.max(np.abs(log_prob(target, x) - expected) / allowed) < 1
    with jax.enable_x64(True):
        np.testing.assert_allclose(log_prob(target, x.astype(float)), expected, rtol=1e-11)


@each_planar
def test_planar_density_mean_and_std(case):
    target, _, centers, scales = PLANAR[case]
    # Boxes around the modes; they are disjoint. The trapezoid rule of a normal converges geometrically: points half a
    # scale apart give 15 digits.
    offsets = np.stack(np.meshgrid(np.linspace(-8, 8, 33), np.linspace(-8, 8, 33)), axis=-1).reshape(-1, 2)
    x = (centers[:, None] + scales[:, None, None] * offsets).reshape(-1, 2)
    with jax.enable_x64(True):
        mass = np.exp(log_prob(nameless(target), x)) * np.repeat((scales / 2) ** 2, len(offsets))
    np.testing.assert_allclose(mass.sum(), 1.0, rtol=1e-8)
    mean = mass @ x
    np.testing.assert_allclose(target.mean, mean, atol=1e-8)
    np.testing.assert_allclose(target.std, np.sqrt(mass @ (x - mean) ** 2), rtol=1e-8)


@each_planar
def test_planar_samples(case):
    target, weights, centers, scales = PLANAR[case]
    n = 10_000
    x = sample(nameless(target), jax.random.key(0), n)
    assert (x.shape, x.dtype) == ((n, 2), np.float32)
    x = np.asarray(x, float)
    assert (np.abs(x.mean(axis=0) - target.mean) < 4 * target.std / math.sqrt(n)).all()
    for axis in range(2):  # each coordinate is a 1-D mixture
        assert stats.kstest(x[:, axis], mixture_oracle(weights, centers[:, axis], scales).cdf).pvalue > 1e-3
    z = (x[:, None] - centers) / scales[:, None]
    nearest = np.argmin((z**2).sum(axis=2), axis=1)
    assert stats.chisquare(np.bincount(nearest, minlength=len(weights)), n * weights).pvalue > 1e-3
    z = z[np.arange(n), nearest]
    assert stats.kstest((z**2).sum(axis=1), stats.chi2(2).cdf).pvalue > 1e-3
    assert abs((z[:, 0] * z[:, 1]).mean()) < 4 / math.sqrt(n)


@pytest.mark.parametrize("num_modes", [2, 3, 8, 25])
def test_ring_has_as_many_different_centres_as_modes(num_modes):
    centers = targets.ring(num_modes, 2.5, 0.1).modes.centers
    z = centers[:, 0] + 1j * centers[:, 1]
    np.testing.assert_allclose(np.abs(z), 2.5, rtol=1e-12)
    np.testing.assert_allclose(np.roll(z, -1) / z, np.exp(2j * np.pi / num_modes), rtol=1e-9)
    assert len(np.unique(np.round(z, 9))) == num_modes


def test_grid_centres():
    assert sorted(map(tuple, TARGETS["grid"].modes.centers.tolist())) == sorted(map(tuple, GRID_CENTERS.tolist()))
    two_by_two = targets.grid(2, 3.0, 0.1).modes.centers.tolist()
    assert sorted(two_by_two) == [[-1.5, -1.5], [-1.5, 1.5], [1.5, -1.5], [1.5, 1.5]]


# --- the disk -----------------------------------------------------------------------------------------------------

DISKS = {"disk": (10.0, 1.0), "small noise": (10.0, 0.01), "large noise": (10.0, 100.0), "unit": (1.0, 0.3)}


def disk_log_prob(radius, noise, r):
    """P(a normal around x falls into the disk)/area, a non-central χ² probability."""
    with np.errstate(divide="ignore"):
        return np.log(stats.ncx2.cdf((radius / noise) ** 2, 2, (r / noise) ** 2) / (np.pi * radius**2))


@pytest.mark.parametrize("case", DISKS)
def test_disk_log_prob(case):
    radius, noise = DISKS[case]
    target = nameless(targets.disk(radius, noise))
    edge = np.abs(radius + noise * np.linspace(-5, 5, 21))
    r = np.concatenate([[0.0, 1e-3 * radius], radius * np.linspace(0.05, 0.9, 18), edge]).astype(np.float32)
    # Points on an axis, so that rounding does not change r; the angles test the symmetry.
    expected = disk_log_prob(radius, noise, r.astype(float))
    on_axis = np.stack([np.zeros_like(r), -r], axis=1)
    # In float32 the error of r − R is 1e-6, so that of z is 1e-4 for a noise of 0.01, and that of z²/2 5 times as much.
    rounding = 1e-5 + 2e-7 * radius / noise * 5
    np.testing.assert_allclose(log_prob(target, on_axis), expected, rtol=1e-5, atol=rounding)
    with jax.enable_x64(True):
        exact = log_prob(target, on_axis.astype(float))
        np.testing.assert_allclose(exact, expected, rtol=1e-6)
        turned = r[:, None] * np.array([math.cos(2.0), math.sin(2.0)])
        np.testing.assert_allclose(log_prob(target, turned), exact, rtol=1e-9)


def test_disk_log_prob_far_outside_is_finite_and_falls_as_a_normal():
    r = np.linspace(20, 60, 41)
    value = log_prob(nameless(TARGETS["disk"]), np.stack([r, np.zeros_like(r)], axis=1))
    # ½-space beyond the edge: ∫₀^R s e^{−(r − s)²/2} I₀-term ds → √(R/r)·Φ(−(r − R))/πR² to leading order.
    expected = stats.norm.logsf(r - 10) + 0.5 * np.log(10 / r) - math.log(100 * math.pi)
    np.testing.assert_allclose(value, expected, rtol=1e-3)


@pytest.mark.parametrize("case", DISKS)
def test_disk_density_integrates_to_one_and_to_its_std(case):
    radius, noise = DISKS[case]
    target = nameless(targets.disk(radius, noise))
    nodes, weights = np.polynomial.legendre.leggauss(20)
    cells = np.concatenate([[0.0], radius + noise * np.linspace(-10, 10, 41)])
    cells = resample(np.unique(np.concatenate([cells[cells >= 0], noise * np.linspace(0, 10, 21)])), 81)
    half, middle = np.diff(cells) / 2, (cells[1:] + cells[:-1]) / 2
    r = (middle[:, None] + half[:, None] * nodes).ravel()
    with jax.enable_x64(True):
        density = np.exp(log_prob(target, np.stack([r, 0 * r], axis=1)))
    mass = density * 2 * np.pi * r * (half[:, None] * weights).ravel()
    np.testing.assert_allclose(mass.sum(), 1.0, rtol=1e-6)
    np.testing.assert_allclose(target.std, math.sqrt((r**2 * mass).sum() / 2), rtol=1e-6)
    np.testing.assert_array_equal(target.mean, [0.0, 0.0])


def test_disk_score():
    r, step = np.array([0.0, 0.5, 8.0, 10.0, 13.0]), 1e-4
    with jax.enable_x64(True):
        score = jax.jit(jax.grad(lambda x: TARGETS["disk"].log_prob(x).sum()))(np.stack([r, 0 * r], axis=1))
    ahead, behind = (disk_log_prob(10.0, 1.0, np.abs(r + sign * step)) for sign in (1, -1))
    np.testing.assert_allclose(score, np.stack([(ahead - behind) / (2 * step), 0 * r], axis=1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("case", ["disk", "unit"])
def test_disk_samples(case):
    radius, noise = DISKS[case]
    target, n = nameless(targets.disk(radius, noise)), 20_000
    x = np.asarray(sample(target, jax.random.key(0), n), float)
    assert (np.abs(x.mean(axis=0)) < 4 * target.std / math.sqrt(n)).all()
    r = np.linspace(0, radius + 9 * noise, 4001)
    radial_density = 2 * np.pi * r * np.exp(disk_log_prob(radius, noise, r))
    radial_cdf = integrate.cumulative_simpson(radial_density, x=r, initial=0)
    assert stats.kstest(np.linalg.norm(x, axis=1), lambda value: np.interp(value, r, radial_cdf)).pvalue > 1e-3
    assert stats.kstest(np.arctan2(x[:, 1], x[:, 0]), stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3


# --- a finite sample ----------------------------------------------------------------------------------------------

VALUES = [3.0, -1.0, 2.0, 2.0, 7.5, 2.0, 0.5]


def test_empirical_cdf_is_right_continuous():
    target, values = targets.empirical(VALUES), np.array(VALUES, np.float32)
    at = np.unique(values)
    below, above = (np.nextafter(at, np.float32(limit)) for limit in (-np.inf, np.inf))
    for x in (at, below, above):
        np.testing.assert_allclose(target.cdf(x), [np.mean(values <= point) for point in x], rtol=1e-6)


def test_empirical_quantile_is_the_least_value_that_reaches_u():
    target = targets.empirical(VALUES)
    at = np.unique(np.float32(VALUES))
    reached = np.asarray(target.cdf(at))
    u = np.concatenate([reached, np.nextafter(reached, np.float32(0)), np.nextafter(reached[:-1], np.float32(1))])
    u = np.concatenate([u, np.linspace(0.001, 0.999, 500, dtype=np.float32), np.float32([2.0**-24, 1 - 2.0**-24])])
    expected = [at[np.argmax(reached >= level)] for level in u]
    np.testing.assert_array_equal(target.quantile(u), expected)


@each_precision
@pytest.mark.parametrize("num_values", [7, 1000])
def test_empirical_quantile_inverts_cdf(num_values, x64):
    values = np.arange(num_values, dtype=float)
    with jax.enable_x64(x64):
        target = targets.empirical(values)
        np.testing.assert_array_equal(target.quantile(target.cdf(values)), values)


def test_empirical_moments_and_samples():
    target = targets.empirical(VALUES)
    np.testing.assert_allclose([target.mean[0], target.std[0]], [np.mean(VALUES), np.std(VALUES)], rtol=1e-12)
    x = np.asarray(target.sample(jax.random.key(0), 7_000))
    values, counts = np.unique(x, return_counts=True)
    expected = {value: 1000 * VALUES.count(value) for value in VALUES}
    np.testing.assert_array_equal(values, sorted(expected))
    assert stats.chisquare(counts, [expected[value] for value in values]).pvalue > 1e-3


def test_empirical_copies_the_callers_array():
    values = np.array(VALUES)
    target = targets.empirical(values)
    np.testing.assert_array_equal(values, VALUES)
    values[:] = 100.0
    assert target.quantile(0.999) == 7.5
    column = targets.empirical(np.array(VALUES)[:, None])
    np.testing.assert_array_equal(column.params, target.params)


def test_empirical_has_no_density():
    assert not targets.empirical(VALUES).has_density
    assert all(target.has_density for target in TARGETS.values() if target.dim <= 2)


# --- the registry, modes and the pytree ---------------------------------------------------------------------------


def test_registry():
    small = ["normal", "bimodal", "uniform", "exponential", "mixture", "two_normals", "ring", "grid", "disk"]
    signals = ["ornstein_uhlenbeck", "smooth", "periodic", "sine", "pulse", "two_shapes"]
    assert list(targets.NAMES) == [*small, *signals, "digits"]
    for name in (*small, *signals):
        target = TARGETS[name]
        assert targets.get(name) is target
        assert target.name == name
        assert target.dim == (64 if name in signals else 2 if name in ("ring", "grid", "disk") else 1)
        assert target.shape == (target.dim,)
        assert np.shape(target.mean) == np.shape(target.std) == (target.dim,)


@pytest.mark.parametrize("name", [*MIXTURES, *FACTORY_MIXTURES])
def test_modes_of_mixtures(name):
    weights, centers, scales = {**MIXTURES, **FACTORY_MIXTURES}[name]
    modes = CASES[name][0].modes
    np.testing.assert_allclose(modes.weights, np.array(weights) / np.sum(weights), rtol=1e-12)
    np.testing.assert_array_equal(modes.centers, np.array(centers)[:, None])
    np.testing.assert_array_equal(modes.scales, scales)


@pytest.mark.parametrize("name", ["bimodal", "mixture", "two_normals", "ring", "grid"])
def test_registered_modes_are_maxima_of_the_density(name):
    target = nameless(TARGETS[name])
    assert np.sum(target.modes.weights) == pytest.approx(1.0)
    at_center = log_prob(target, target.modes.centers)
    for axis in range(target.dim):
        for side in (-1, 1):
            aside = target.modes.centers + side * target.modes.scales[:, None] * np.eye(target.dim)[axis][None]
            # One scale away from its centre, a lone normal's log density is ½ lower.
            np.testing.assert_allclose(at_center - log_prob(target, aside), 0.5, atol=1e-3)


@pytest.mark.parametrize("name", ["uniform", "exponential", "disk", "empirical"])
def test_targets_without_modes(name):
    target = targets.empirical(VALUES) if name == "empirical" else TARGETS[name]
    assert [np.shape(leaf) for leaf in target.modes] == [(0, target.dim), (0,), (0,)]


LANES = {
    "normal": (targets.normal(0.0, 1.0), targets.normal(3.0, 0.5)),
    "mixture": (targets.mixture([1, 3], [0, 5], [1, 0.5]), targets.mixture([1, 1], [-2, 2], 0.1)),
    "uniform": (targets.uniform(0, 1), targets.uniform(-3, 5)),
    "exponential": (targets.exponential(1), targets.exponential(3)),
    "piecewise_linear": (
        targets.piecewise_linear([0, 1, 3], [1, 2, 0]),
        targets.piecewise_linear([0, 2, 3], [0, 1, 1]),
    ),
}
PLANAR_LANES = {
    "disk": (targets.disk(10, 1), targets.disk(1, 0.2)),
    "ring": (targets.ring(8, 1.0, 0.1), targets.ring(8, 2.0, 0.3)),
}


def stacked(targets):
    return jax.tree.map(lambda *leaves: np.stack(leaves), *targets)


@pytest.mark.parametrize("family", LANES)
def test_targets_of_one_family_are_lanes_of_one_program(family):
    alone = [nameless(target) for target in LANES[family]]
    x, u = points(CASES["bimodal"][1])
    lanes = jax.jit(jax.vmap(evaluate, (0, None, None)))(stacked(alone), x, u)
    for lane, target in enumerate(alone):
        for together, by_itself in zip(lanes[:3], evaluate(target, x, u)[:3], strict=True):
            np.testing.assert_allclose(together[lane], by_itself, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", PLANAR_LANES)
def test_planar_targets_of_one_family_are_lanes_of_one_program(family):
    alone = [nameless(target) for target in PLANAR_LANES[family]]
    x = np.stack([np.linspace(-1, 6, 41), np.linspace(2, 0, 41)], axis=1)
    lanes = jax.jit(jax.vmap(Target.log_prob, (0, None)))(stacked(alone), x)
    for lane, target in enumerate(alone):
        np.testing.assert_allclose(lanes[lane], log_prob(target, x), rtol=1e-5, atol=1e-5)


def test_lanes_sample_with_their_own_keys():
    alone, n = [nameless(target) for target in PLANAR_LANES["ring"]], 10_000
    lanes = jax.jit(jax.vmap(lambda target, key: target.sample(key, n)))(
        stacked(alone), jax.random.split(jax.random.key(0), 2)
    )
    for lane, key in enumerate(jax.random.split(jax.random.key(0), 2)):
        np.testing.assert_allclose(lanes[lane], sample(alone[lane], key, n), rtol=1e-5, atol=1e-5)


def test_one_program_serves_all_targets_of_a_family():
    traces = []

    @jax.jit
    def cdf(target, x):
        traces.append(target.name)
        return target.cdf(x)

    for target in (targets.normal(0, 1), targets.normal(5, 2)):
        cdf(target, np.ones(3))
    assert len(traces) == 1


@pytest.mark.parametrize("name", [*(name for name in TARGETS if TARGETS[name].dim <= 2), "pulse", "empirical"])
def test_precision_follows_jax_enable_x64(name):
    target = targets.empirical(VALUES) if name == "empirical" else TARGETS[name]

    for x64, dtype in ((False, np.float32), (True, np.float64)):

        def everything(target, key):
            result = [target.sample(key, 3)]
            if target.has_density:
                result.append(target.log_prob(np.ones((3, target.dim))))
            if target.dim == 1:
                result += [target.cdf(np.ones(3)), target.quantile(np.full(3, 0.5))]
            return result

        with jax.enable_x64(x64):
            assert {leaf.dtype for leaf in jax.eval_shape(everything, target, jax.random.key(0))} == {np.dtype(dtype)}


def test_import_initialises_no_backend():
    program = "import jgen1d.targets, jax._src.xla_bridge as bridge; raise SystemExit(len(bridge._backends))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# --- errors -------------------------------------------------------------------------------------------------------

ERRORS = {
    "weight of zero": (lambda: targets.mixture([1, 0], [0, 1], [1, 1]), "weights must be positive"),
    "negative weight": (lambda: targets.mixture([1, -1], [0, 1], [1, 1]), r"weights .*-1\.0"),
    "scale of zero": (lambda: targets.mixture([1, 1], [0, 1], [1, 0]), "scales must be positive"),
    "one scale of zero": (lambda: targets.mixture([1, 1], [0, 1], 0), "scales must be positive"),
    "infinite scale": (lambda: targets.mixture([1, 1], [0, 1], [1, math.inf]), "scales .*inf"),
    "centre that is no number": (lambda: targets.mixture([1, 1], [0, math.nan], [1, 1]), "centers must be finite"),
    "centres too few": (lambda: targets.mixture([1, 1], [0], [1, 1]), r"agree in k ≥ 1, not \[2\], \[1\] and \[2\]"),
    "scales too many": (lambda: targets.mixture([1, 1], [0, 1], [1, 1, 1]), r"not \[2\], \[2\] and \[3\]"),
    "mixture in 4-D": (
        lambda: targets.mixture([1], [[0, 1, 2, 3]], [1]),
        r"centers \[k, dim\] must have dim 1 or 2, not 4",
    ),
    "mixture in 0-D": (lambda: targets.mixture([1], [[]], [1]), "must have dim 1 or 2, not 0"),
    "no component": (lambda: targets.mixture([], [], []), "k ≥ 1"),
    "normal without width": (lambda: targets.normal(0, 0), "positive"),
    "normal nowhere": (lambda: targets.normal(math.nan, 1), "finite"),
    "ring without modes": (lambda: targets.ring(0), "k ≥ 1"),
    "uniform from high to low": (lambda: targets.uniform(2, 1), "low must be below high, and both finite, not 2 and 1"),
    "uniform on a point": (lambda: targets.uniform(1, 1), "low must be below high"),
    "uniform on a half-line": (lambda: targets.uniform(0, math.inf), "uniform: .*inf"),
    "uniform on what is no number": (lambda: targets.uniform(0, math.nan), "uniform: .*nan"),
    "exponential with rate 0": (lambda: targets.exponential(0), "rate must be positive and finite, not 0"),
    "exponential with rate -1": (lambda: targets.exponential(-1), "rate must be positive and finite, not -1"),
    "exponential with rate inf": (lambda: targets.exponential(math.inf), "rate must be positive and finite, not inf"),
    "piecewise linear in one point": (lambda: targets.piecewise_linear([1], [1]), "k ≥ 2"),
    "piecewise linear backwards": (lambda: targets.piecewise_linear([1, 0], [1, 1]), "finite and increasing"),
    "piecewise linear below zero": (lambda: targets.piecewise_linear([0, 1], [1, -1]), "at least 0"),
    "piecewise linear and empty": (lambda: targets.piecewise_linear([0, 1], [0, 0]), "not all 0"),
    "disk without radius": (lambda: targets.disk(0), "radius must be positive and finite, not 0"),
    "disk without noise": (lambda: targets.disk(1, 0), "noise must be positive and finite, not 0"),
    "empirical of two columns": (lambda: targets.empirical([[1, 2], [3, 4]]), r"\[n\] or \[n, 1\], not \[2, 2\]"),
    "empirical with a hole": (lambda: targets.empirical([1, math.nan, 3]), r"values\[1\] is nan"),
    "empirical with an infinity": (lambda: targets.empirical([1, 2, -math.inf]), r"values\[2\] is -inf"),
    "empirical of equal values": (lambda: targets.empirical([2, 2, 2]), "two different values"),
    "empirical of nothing": (lambda: targets.empirical([]), "two different values"),
    "unknown name": (lambda: targets.get("bimodel"), "no target 'bimodel'; did you mean 'bimodal'.*normal, bimodal"),
    "log_prob of a vector": (lambda: TARGETS["normal"].log_prob([1.0, 2.0]), r"shape \[n, 1\], not \[2\]"),
    "log_prob in the wrong dimension": (lambda: TARGETS["ring"].log_prob([[1.0]]), r"shape \[n, 2\], not \[1, 1\]"),
    "cdf in 2-D": (lambda: TARGETS["ring"].cdf([1.0]), r"'ring' \(2-D\) has no cdf"),
    "quantile in 2-D": (lambda: TARGETS["disk"].quantile([0.5]), r"'disk' \(2-D\) has no quantile"),
    "density of a sample": (lambda: targets.empirical([1.0, 2.0], name="mine").log_prob([[1.0]]), "'mine' .* density"),
}


@pytest.mark.parametrize("mistake", ERRORS)
def test_errors_are_one_clear_line(mistake):
    function, message = ERRORS[mistake]
    with pytest.raises(ValueError, match=message) as error:
        function()
    assert "\n" not in str(error.value)
