"""How runs are computed: planned, compiled, trained in blocks, saved and resumed."""
