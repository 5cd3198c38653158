"""Settings under which all tests run: no silent broadcasting of ranks, no key used twice, quick compilation."""

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
jax.config.update("jax_disable_most_optimizations", True)  # most programs here compile for longer than they run


@pytest.fixture(scope="module")
def fully_optimised():
    """For what has to hold of the programs that users run."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)
