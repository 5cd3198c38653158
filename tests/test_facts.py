"""What is found in columns of known make, what is done about it, and what is said."""

import math

import jax
import numpy as np
import pytest
from scipy import stats

import jgen1d
from jgen1d import data
from jgen1d.methods import gaussian
from tests.columns import write

G = np.random.default_rng(11)
NORMAL = G.normal(size=500)


def made(values, **options):
    return data.make_target(np.asarray(values, float), "x", **options)


@pytest.mark.parametrize(
    ("values", "step"),
    [
        (np.round(G.normal(20, 2, 500)), 1),
        (np.round(G.normal(20, 2, 500)) * 5, 5),
        (np.round(G.normal(20, 2, 500)) * 0.05, 0.05),
        (1e9 + 3600 * np.round(G.normal(0, 20, 500)), 3600),
        (20240000 + np.round(G.normal(500, 50, 500)), 1),
        (1e-6 * np.round(G.normal(0, 20, 500)), 1e-6),
        (0.125 * np.round(G.normal(0, 20, 500)), 0.125),
        (3 + 10 * np.round(G.normal(0, 20, 500)), 10),
        (np.r_[NORMAL, NORMAL], 0),  # ties, but no step
        (NORMAL, 0),
        (np.round(NORMAL * 1e6) / 3, 0),
    ],
    ids=["ones", "fives", "cents", "hours", "dates", "millionths", "eighths", "tens from 3", "ties", "none", "thirds"],
)
def test_a_common_step_is_found(values, step):
    np.testing.assert_allclose(data.examine(np.asarray(values)).step, step, rtol=1e-9)


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        (NORMAL, "plain", []),
        (np.round(G.normal(20, 2, 500)), "step", ["500 values differ", "whole steps of 1 apart", "spread evenly"]),
        (G.integers(1, 6, 500), "step", ["5 of 500 values differ", "spread evenly"]),
        (np.round(G.normal(0, 1, 500), 3), "plain", ["whole steps of 0.001 apart"]),
        (np.r_[NORMAL, 1e4 + NORMAL[:3]], "bent", ["a few values own the standard deviation", "logarithmic"]),
        (NORMAL[:20], "plain", ["20 rows are few"]),
    ],
    ids=["normal", "integers", "ratings", "a fine step", "outliers", "few rows"],
)
def test_what_a_column_needs_is_done_and_said(values, kind, words):
    target, notes = made(values)
    step = target.discrete.step if target.discrete else 0
    assert kind == ("step" if step else "bent" if target.units.chart.kind == "bent" else "plain")
    for word in words:
        assert any(word in note for note in notes), (word, notes)
    assert len(notes) == 1 + len({word for word in words if word not in ("whole steps of 1 apart", "logarithmic")})
    assert all(note.isprintable() and len(note) < 260 for note in notes)


def test_the_share_out_of_range_that_is_said_is_what_perfect_samplers_score():
    """2/(n + 1): each of n + 1 draws is as likely as any other to be the least or the greatest."""
    outside = []
    for seed in range(2_000):
        rows, more = np.split(np.random.default_rng(seed).normal(size=60), [40])
        outside.append(np.mean((more < rows.min()) | (more > rows.max())))
    expected, error = 2 / 41, np.std(outside) / math.sqrt(2_000)
    assert abs(np.mean(outside) - expected) < 4 * error
    assert any("4.9 % would lie outside of the data" in note for note in made(NORMAL[:40])[1])


def test_an_atom_is_refused_with_what_to_do():
    zeros = np.r_[np.zeros(300), np.exp(NORMAL[:200])]
    with pytest.raises(ValueError, match=r"60 % of the values are 0, which no continuous model learns: atom=0 makes"):
        made(zeros)
    assert made(zeros, dequantize=False)[0].discrete is None
    target, notes = made(zeros, atom=0.0)
    assert target.discrete.share == 0.6
    assert any("60 % of 500 values are 0: samples are, too" in note for note in notes)
    with pytest.raises(ValueError, match="atom=5: no value is 5"):
        made(zeros, atom=5.0)
    with pytest.raises(ValueError, match="atom=0: besides it, at least 2 different values are needed"):
        made([0.0, 0.0, 3.0], atom=0.0)
    with pytest.raises(ValueError, match="dequantize=True: the values have no common step"):
        made(NORMAL, dequantize=True)


@pytest.mark.parametrize("weights", [(0.1, 0.1, 0.2, 0.25, 0.35), (0.7, 0.1, 0.1, 0.05, 0.05)])
def test_a_known_lattice_comes_back_in_its_shares(weights):
    """A model of the dequantized column that is perfect gives each value its share: a quantile function is one."""
    ratings = np.repeat(np.arange(1.0, 6), (np.array(weights) * 1_000).astype(int))
    target, _ = made(ratings)
    continuous = np.asarray(target.quantile((np.arange(10_000) + 0.5) / 10_000), np.float64)
    shares = np.bincount(target.discrete.restore(jax.random.key(0), continuous).astype(int), minlength=6)[1:] / 10_000
    np.testing.assert_allclose(shares, weights, atol=2e-3)


def test_a_known_mixture_of_an_atom_and_a_normal_comes_back():
    rest = stats.norm.ppf((np.arange(400) + 0.5) / 400)
    target, _ = made(np.r_[np.zeros(600), 5 + rest], atom=0.0)
    result = jgen1d.fit(0, gaussian.METHOD, target, gaussian.Config(), num_steps=300, num_samples=1_000)
    samples = np.asarray(result.sample(jax.random.key(1), 20_000))
    is_atom = samples == 0
    assert abs(is_atom.mean() - 0.6) < 4 * math.sqrt(0.24 / 20_000)
    assert stats.kstest(samples[~is_atom] - 5, "norm").statistic < 0.05


def test_read_takes_the_options(tmp_path):
    path = write(tmp_path, "a.csv", "x\n" + "\n".join(["0"] * 30 + [str(value) for value in range(1, 31)]))
    assert data.read(path).discrete.step == 1
    assert data.read(path, dequantize=False, atom=0).discrete.atom == 0
    with pytest.raises(ValueError, match=r"a\.csv: support from 0 to inf: the value 0 is not inside"):
        data.read(path, dequantize=False, support=(0, math.inf))
    assert data.read(path, atom=0, dequantize=False, support=(0, math.inf)).units.chart.kind == "positive"


@pytest.mark.parametrize("text", ["1e39 2e39 4e39", "-1e-60 2e-60 3e-60", "1700000000.1 1700000000.2 1700000000.4"])
def test_columns_that_float32_does_not_hold_are_read(tmp_path, text):
    target = data.read(write(tmp_path, "a.csv", "x\n" + text.replace(" ", "\n")))
    np.testing.assert_array_equal(target.params, sorted(map(float, text.split())))
    assert np.isfinite(target.standardized().params).all()
    assert len(np.unique(np.float32(target.standardized().params))) == 3
