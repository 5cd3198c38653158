"""Settings under which all tests run: no silent broadcasting of ranks, no key used twice."""

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
