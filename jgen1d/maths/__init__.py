"""The mathematics of generative models: pure functions of arrays."""
