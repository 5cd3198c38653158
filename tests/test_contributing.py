"""What CONTRIBUTING.md shows runs as it stands there."""

import re
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgen1d
from jgen1d.evaluation import metrics
from jgen1d.evaluation.material import Samples
from tests import scripts

TEXT = (scripts.ROOT / "CONTRIBUTING.md").read_text()
METHOD, METRIC = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_method_learns_a_normal_distribution(monkeypatch):
    module = types.ModuleType("moving_average")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses look their module up
    exec(METHOD, module.__dict__)
    assert sum(bool(line) for line in METHOD.splitlines()) <= 22
    result = jgen1d.fit(0, module, "normal", module.Config(), num_steps=200)
    assert result.metrics["w1_over_std"] < 0.05
    assert repr(result).startswith("<Result of moving_average on 'normal' after 200 steps: ")


def test_the_metric_is_an_entry_of_the_table():
    ((name, metric),) = eval(f"{{{METRIC}}}", {**vars(metrics), "jnp": jnp}).items()
    assert name not in metrics.METRICS
    target, samples = jgen1d.TARGETS["exponential"], jnp.array([[1.0], [3.0], [9.0]])
    known = metrics.reference(target, len(samples))
    found = jax.jit(lambda samples: metric.compute(Samples(samples, target, known)))(samples)
    assert found == pytest.approx(3 - 2 * np.log(2), abs=1e-5)
    assert metric.applies(target)
    assert not metric.applies(jgen1d.TARGETS["ring"])


@pytest.mark.parametrize("path", re.findall(r"`((?:jgen1d|tests)/[\w/]+(?:\.py|/))`", TEXT))
def test_the_files_that_it_names_exist(path):
    assert (scripts.ROOT / path).exists()
