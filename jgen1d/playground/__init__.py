"""A live page on which all families of models train on numbers or on signals: `python -m jgen1d.playground`."""
