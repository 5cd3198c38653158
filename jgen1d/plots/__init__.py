"""Pictures of runs and sweeps: NumPy arrays in, matplotlib figures out."""
