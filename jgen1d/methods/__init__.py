"""The registry of methods: one line each."""

from jgen1d.core import Method
from jgen1d.methods import gan

METHODS: dict[str, Method] = {"gan": gan.METHOD}
