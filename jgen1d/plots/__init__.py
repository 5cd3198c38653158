"""NumPy arrays in, Matplotlib figures out."""
