"""What programs cost by a model: compilation and steps, on each kind of device."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from jgen1d.engine.padding import Variant
from jgen1d.engine.run import CHUNK


class Device(Protocol):
    """What matters of a `jax.Device`, which may be another process's."""

    @property
    def platform(self) -> str:
        """`cpu`, `gpu` or `tpu`."""

    def memory_stats(self) -> dict[str, Any] | None:
        """With its bytes of memory as `bytes_limit`; None if unknown."""


class Costs(NamedTuple):
    """What one kind of device needs, measured with the textbook GAN (BUILD.md says how).

    Attributes:
      compile_seconds: for the programs of one shape of network.
      lane: seconds for the final metrics of one lane on one device.
      lane_step: seconds for a step's data and its share of the history.
      layer: seconds for a hidden layer in a step of one lane, whatever its size.
      weight_row: seconds for a weight between hidden units and one row of the minibatch.
      unit_row: seconds for a hidden unit and one row of the minibatch.
      fewest_lanes: the narrowest block worth having, for one device.
      most_lanes: the widest.
    """

    compile_seconds: float
    lane: float
    lane_step: float
    layer: float
    weight_row: float
    unit_row: float
    fewest_lanes: int
    most_lanes: int


COSTS = {
    "cpu": Costs(
        compile_seconds=7.0,
        lane=1e-2,
        lane_step=2.2e-5,
        layer=1.1e-5,
        weight_row=1.9e-10,
        unit_row=7e-10,
        fewest_lanes=2,
        most_lanes=8,
    ),
    # With this `layer`, textbook and robust steps at 1,024 lanes are 1.1 and 0.8 times what an H200 took
    # (benchmarks/results/h200.json). It took 21 to 39 s to compile them; the other figures are guesses.
    "gpu": Costs(
        compile_seconds=20.0,
        lane=1e-5,
        lane_step=1e-7,
        layer=1e-7,
        weight_row=4e-13,
        unit_row=4e-12,
        fewest_lanes=1,
        most_lanes=4096,
    ),
}
PADDING_OVERHEAD = 1.15
"""How much longer a padded program takes than one for its largest shape, to compile and to run."""
ARRAYS_PER_UNIT = 2
"""f32[rows] arrays that a step keeps for one hidden unit."""


class Model(NamedTuple):
    """The time that programs take: costs, steps of a run, devices, and rows of a step's data."""

    costs: Costs
    num_steps: int
    num_devices: int
    num_rows: int

    def step_seconds(self, sizes: Variant) -> float:
        """A step of one lane, on one device."""
        hidden = [size for size in sizes.values() if type(size) is tuple]
        weights = sum(a * b for size in hidden for a, b in itertools.pairwise(size))
        work = self.costs.unit_row * _units(sizes) + self.costs.weight_row * weights
        return self.costs.lane_step + self.costs.layer * sum(map(len, hidden)) + self.num_rows * work

    def seconds(self, sizes: Variant, num_lanes: int, num_variants: int) -> tuple[float, float]:
        """Compilation, and training of lanes of so many variants that share a program of these sizes."""
        overhead = PADDING_OVERHEAD if num_variants > 1 else 1.0
        lane = self.costs.lane + overhead * self.num_steps * self.step_seconds(sizes)
        return overhead * self.costs.compile_seconds, lane * num_lanes / self.num_devices

    def lanes_per_device(self, device: Device, sizes: Variant) -> int:
        """As many lanes as fit into a CPU core's second-level cache, or into half of another device's memory."""
        bytes_per_lane = 4 * self.num_rows * (ARRAYS_PER_UNIT * _units(sizes) + 1)
        if device.platform == "cpu":
            memory = _cache_bytes()
        else:
            memory = (device.memory_stats() or {}).get("bytes_limit", 16 << 30) // 2
            bytes_per_lane += 4 * self.num_rows * CHUNK
        fitting = max(self.costs.fewest_lanes, min(self.costs.most_lanes, memory // bytes_per_lane))
        return 1 << (int(fitting).bit_length() - 1)  # a few widths only: each compiles what draws and measures data


def _units(sizes: Variant) -> int:
    return sum(sum(size) for size in sizes.values() if type(size) is tuple)


def _cache_bytes() -> int:
    """Size of one core's second-level cache; 1 MiB if the system does not tell."""
    try:
        return 1024 * int(Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text().strip().removesuffix("K"))
    except (OSError, ValueError):
        return 1 << 20
