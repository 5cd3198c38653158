"""Mathematics of generative models: pure functions of arrays."""
