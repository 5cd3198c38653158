"""How good a model is: metrics, verdicts, theory and trajectories."""
