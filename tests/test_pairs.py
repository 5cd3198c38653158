"""Two columns as points in the plane: what is read, what is refused, and what is known of such a target."""

import json

import jax
import numpy as np
import pytest
from scipy import stats

import jgen1d
from jgen1d import data, targets
from jgen1d.evaluation import metrics, verdict
from jgen1d.methods import gaussian

RNG = np.random.default_rng(5)
POINTS = RNG.normal(size=(300, 2)) @ np.array([[3.0, 0.01], [0.0, 0.02]]) + np.array([50.0, -1.0])


def _csv(path, points):
    path.write_text("a,b,who\n" + "".join(f"{a!r},{b!r},x\n" for a, b in points.tolist()))


def _jsonl(path, points):
    path.write_text("".join(json.dumps({"a": a, "b": b}) + "\n" for a, b in points.tolist()))


def _parquet(path, points):
    import polars

    polars.DataFrame({"a": points[:, 0], "b": points[:, 1]}).write_parquet(path)


WRITERS = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet, ".npy": lambda path, points: np.save(path, points)}


@pytest.mark.parametrize("kind", WRITERS)
def test_two_columns_are_read_exactly_and_in_their_order(tmp_path, kind):
    path = tmp_path / f"points{kind}"
    WRITERS[kind](path, POINTS)
    names = ("0", "1") if kind == ".npy" else ("a", "b")
    np.testing.assert_array_equal(data.read_column(path, names), POINTS)
    np.testing.assert_array_equal(data.read_column(path, [1, 0]), POINTS[:, ::-1])
    target = data.read(path, names, num_samples=100)
    assert (target.dim, target.params.shape) == (2, (100, 2))
    assert target.name == ("points, points" if kind == ".npy" else "a, b")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", "a,b\n1,2\n3,NA\nNA,4\n5,6\n7,\n8,9\n"),
        ("x.csv", "a;b\n1;2\n3;NA\nNA;4\n5;6\n7;\n\n8;9\n"),
        ("x.jsonl", '{"a": 1, "b": 2}\n{"a": 3, "b": null}\n{"b": 4}\n{"a": 5, "b": 6}\n{"a": 7}\n{"a": 8, "b": 9}\n'),
    ],
)
def test_a_row_that_lacks_one_value_is_dropped_from_both(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    found = data.read_with_notes(tmp_path / name, ("a", "b"), data.Options(missing="drop"))
    np.testing.assert_array_equal(found.values, [[1, 2], [5, 6], [8, 9]])
    assert "3 rows with missing values dropped of 6" in found.notes
    with pytest.raises(ValueError, match=r"row \d+, column '[ab]'.*missing='drop'|the line is blank"):
        data.read(tmp_path / name, ("a", "b"))


def test_missing_values_of_tables_and_arrays_are_dropped_from_both(tmp_path):
    import polars

    frame = polars.DataFrame({"a": [1.0, None, 3.0, 4.0], "b": [1, 2, None, 5]})
    np.testing.assert_array_equal(data.read_column(frame, ("a", "b"), missing="drop"), [[1, 1], [4, 5]])
    np.savez(tmp_path / "x.npz", a=[1.0, np.nan, 3.0, 4.0], b=[1.0, 2.0, np.nan, 5.0], c=[1.0, 2.0])
    np.testing.assert_array_equal(data.read_column(tmp_path / "x.npz", ("a", "b"), missing="drop"), [[1, 1], [4, 5]])
    with pytest.raises(ValueError, match=r"columns of 4 and 2 values: must have equally many"):
        data.read_column(tmp_path / "x.npz", ("a", "c"), missing="drop")


REFUSED = {
    ("a", "a"): "columns='a,a': must be two different columns",
    ("a", "b", "c"): "columns='a,b,c': must be two different columns",
    ("a",): "columns='a': must be two different columns",
    ("a", "bb"): "no column 'bb': .*did you mean 'b'",
    ("a", "zero"): "10 % of the values in the second column are 0, which no continuous model learns: dequantize=False",
    ("a", "same"): "the second column of 'a, same': all 200 values are 7",
    ("a", "twice"): "the points lie on a line",
    ("a", "word"): "row 2, column 'word': 'x': must be",
}


@pytest.mark.parametrize("columns", REFUSED)
def test_what_is_no_pair_is_refused_in_one_line(tmp_path, columns):
    a, b = RNG.normal(size=(2, 200))
    zero = np.where(np.arange(200) < 20, 0.0, b)
    rows = [f"{x!r},{y!r},{z!r},7,{-2 * x!r},x" for x, y, z in zip(a.tolist(), b.tolist(), zero.tolist(), strict=True)]
    path = tmp_path / "x.csv"
    path.write_text("\n".join(["a,b,zero,same,twice,word", *rows]))
    with pytest.raises(ValueError, match=REFUSED[columns]) as caught:
        data.read(path, columns)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert data.read(path, ("a", "zero"), dequantize=False).dim == 2
    for option in ({"support": (0.0, 1.0)}, {"atom": 0.0}):
        with pytest.raises(ValueError, match=rf"{next(iter(option))}=.* is for one column, not for two"):
            data.read(path, ("a", "b"), **option)


def test_a_coarse_column_is_spread_once_and_said():
    counts = np.stack([RNG.poisson(4, 500), RNG.normal(size=500)], axis=1).astype(float)
    target, notes = data.as_target(data.Column(counts, "n, x", ()))
    assert any("moved within its step of 1" in note for note in notes)
    np.testing.assert_array_equal(np.round(target.params[:, 0]), counts[:, 0])
    np.testing.assert_array_equal(target.params[:, 1], counts[:, 1])
    again, _ = data.as_target(data.Column(counts, "n, x", ()))
    np.testing.assert_array_equal(again.params, target.params)
    plain, _ = data.as_target(data.Column(counts, "n, x", ()), dequantize=False)
    np.testing.assert_array_equal(plain.params, counts)


@pytest.mark.parametrize(
    ("place", "scale"), [((0.0, 0.0), (1.0, 1.0)), ((1.7e9, -3.0), (3600.0, 1e-5)), ((0.0, 0.0), (1e200, 1e-200))]
)
def test_training_units_are_those_of_each_axis_and_lead_back(place, scale):
    z = (POINTS - POINTS.mean(0)) / POINTS.std(0)
    values = np.array(place) + np.array(scale) * z
    target = targets.empirical(values)
    np.testing.assert_allclose(target.standardized().params, z, atol=1e-6)
    np.testing.assert_allclose((target.units.to_data(z) - place) / scale, z, atol=1e-6)
    # One unit of data is so many units of training, on each axis.
    np.testing.assert_allclose(target.units.log_slope(values), -np.log(scale).sum(), rtol=1e-9, atol=1e-9)


def test_its_distribution_functions_are_those_of_the_projected_rows():
    target, along = targets.empirical(POINTS).standardized(), metrics.directions(2)
    x = np.linspace(-2, 2, 17)
    found = np.asarray(target.cdf_along(np.broadcast_to(x, (len(along), 17)), along))
    projected = target.params @ np.asarray(along, np.float64).T
    for row, one in zip(found, projected.T, strict=True):
        np.testing.assert_allclose(row, stats.ecdf(one).cdf.evaluate(x), atol=2 / len(POINTS))
    drawn = np.asarray(target.sample(jax.random.key(0), 20_000))
    np.testing.assert_allclose(drawn.mean(0), 0, atol=4 / np.sqrt(20_000))
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(target.params.T), atol=0.05)


def test_a_normal_is_learnt_in_units_of_its_own_axes(tmp_path):
    points = RNG.normal(size=(3_000, 2)) @ np.array([[3.0, 0.01], [0.0, 0.02]]) + np.array([50.0, -1.0])
    result = jgen1d.fit(0, gaussian, points, gaussian.Config(), 30, num_samples=2_000)
    assert verdict.learned(result.verdict)
    samples = result.sample(jax.random.key(0), 4_000)
    assert samples.dtype == np.float64
    np.testing.assert_allclose(samples.std(0), points.std(0), rtol=0.1)
    np.testing.assert_allclose(np.corrcoef(samples.T), np.corrcoef(points.T), atol=0.08)
    expected = stats.multivariate_normal(points.mean(0), np.cov(points.T)).logpdf(points[:5])
    np.testing.assert_allclose(result.log_prob(points[:5]), expected, atol=0.1)
    jgen1d.save(tmp_path, result)
    np.testing.assert_array_equal(
        jgen1d.load(tmp_path).sample(jax.random.key(0), 5), result.sample(jax.random.key(0), 5)
    )
