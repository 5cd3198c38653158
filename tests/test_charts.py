"""The laboratory's figures show the numbers that they were given."""

import numpy as np
import pytest

from jgen1d.plots import settings as charts
from jgen1d.plots import style


def test_rates_have_a_dot_and_an_interval_for_every_row():
    row = {"share": 0.5, "low": 0.4, "high": 0.7}
    figure = charts.rates(panels={"a": {"x": row, "y": row | {"share": 0.6}}, "b": {"y": row}}, xlabel="", title="")
    first, second = figure.axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["x", "y"]
    assert list(first.lines[0].get_xdata()) == [0.5, 0.6]
    assert list(second.lines[0].get_ydata()) == [1]
    (segment,) = second.collections[0].get_segments()
    np.testing.assert_allclose(segment[:, 0], [0.4, 0.7])


def test_rates_that_belong_together_stand_under_their_heading():
    row, rows = {"share": 0.5, "low": 0.4, "high": 0.7}, "abcd"
    groups = {"sick": ["a"], "cured": ["c", "b"], "healthy": ["d"], "absent": ["e"]}
    figure = charts.rates(panels={"one": dict.fromkeys(rows, row)}, groups=groups, xlabel="", title="")
    labels = figure.axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == ["sick", "a", "cured", "b", "c", "healthy", "d"]
    assert [label.get_text() for label in labels if label.get_fontweight() == "bold"] == ["sick", "cured", "healthy"]
    assert list(figure.axes[0].lines[0].get_ydata()) == [1, 3, 4, 6]


def test_heat_maps_have_rows_from_the_bottom_up_and_numbers_where_there_is_room():
    table = np.array([[0.0, 0.25], [0.5, 1.0], [np.nan, 0.75]])
    options = {"xlabel": "x", "ylabel": "y", "unit": "share", "title": ""}
    figure = charts.heat_maps(panels={"a": table, "b": table}, rows=["r0", "r1", "r2"], columns=["c0", "c1"], **options)
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.texts][:2] == ["0 %", "25 %"]
    assert (ax.images[0].norm.vmin, ax.images[0].norm.vmax) == (0, 1)
    assert ax.get_ylim()[0] < ax.get_ylim()[1]
    big = charts.heat_maps(panels={"a": np.eye(16)}, rows=list("x" * 16), columns=list("y" * 16), **options)
    assert not big.axes[0].texts
    assert len(big.axes[0].get_xticks()) == 8


def test_settings_get_a_dot_per_seed_and_their_median(tmp_path):
    values = np.array([[1.0, 2.0, 3.0], [2.0, np.inf, 8.0]])
    figure = charts.over_axis(panels={"bimodal": values}, x=[1, 64], xlabel="", ylabel="", title="")
    dots, medians = figure.axes[0].lines
    reference = ("a perfect sampler", 0.1)
    panels = {"bimodal": values, "mixture": 100 * values}
    compared = charts.over_axis(panels=panels, x=[1, 64], xlabel="", ylabel="", title="", reference=reference)
    left, right = compared.axes
    assert left.get_ylim() == right.get_ylim()
    assert left.get_ylim()[0] < 0.1 < 800 < left.get_ylim()[1]
    assert left.lines[-1].get_ydata() == [0.1, 0.1]
    assert compared.legends[0].texts[-1].get_text() == "a perfect sampler"
    assert len(dots.get_xdata()) == 6
    assert list(medians.get_ydata()) == [2, 5]
    style.save(figure, tmp_path / "axis.png")


def test_maps_and_lines_draw_both_functions():
    x = np.linspace(0, 1, 5)
    panels = {"a": {"x": x, "learnt": x**2, "optimal": x}}
    figure = charts.maps(panels=panels, xlabel="", ylabel="", title="", labels=("straight", "arc"))
    learnt, optimal = figure.axes[0].lines
    np.testing.assert_array_equal(learnt.get_ydata(), x**2)
    assert optimal.get_linestyle() == "--"
    both = charts.maps(
        panels={"a": panels["a"], "b": {name: 9 * y for name, y in panels["a"].items()}},
        xlabel="", ylabel="", title="", is_exact=False, is_compared=True,
    )  # fmt: skip
    assert both.axes[0].get_ylim() == both.axes[1].get_ylim()
    assert both.axes[0].lines[1].get_linestyle() == "-"
    assert [text.get_text() for text in figure.legends[0].texts] == ["straight", "arc"]
    figure = charts.lines(x=x, curves={"one": x, "two": 2 * x}, xlabel="", ylabel="", title="")
    assert [line.get_label() for line in figure.axes[0].lines] == ["one", "two"]


@pytest.mark.parametrize("label", ["short", "a curve with a long name", "a curve whose name is as long as they get"])
def test_legends_end_where_the_picture_does_and_leave_the_curves_their_width(label):
    figure = charts.lines(
        x=[0, 1], curves={f"{label} {i}": [0, i] for i in range(4)}, xlabel="", ylabel="", title="title"
    )
    figure.draw_without_rendering()
    (ax,) = figure.axes
    assert ax.get_legend().get_window_extent().x1 <= figure.bbox.x1
    assert ax.get_position().width > 0.8


def test_inverse_transform_has_three_panels_for_each_target():
    u = np.linspace(0.01, 0.99, 50)
    drawn = {"u": u, "x": u**2, "levels": u, "map": u**2, "density": 0.5 / u}
    figure = charts.inverse_transform(panels={"a": drawn, "b": drawn}, title="")
    assert len(figure.axes) == 6
    np.testing.assert_array_equal(figure.axes[4].lines[0].get_ydata(), u**2)
