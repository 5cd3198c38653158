"""How runs are computed."""
