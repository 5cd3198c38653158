"""How far two routes to one metric may differ."""

STEPWISE = ("ks_p", "tv", "tv_over_floor", "samples_to_tell")
"""Metrics that jump where rounding moves a sample over an edge, or that magnify the last bits of a distance."""


def tolerance(metric, rtol=1e-5, atol=1e-6):
    """The keywords of `np.testing.assert_allclose`."""
    return {"rtol": 0.03, "atol": 0.03} if metric in STEPWISE else {"rtol": rtol, "atol": atol}
