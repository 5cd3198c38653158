"""A live page on which all families of models train on 1-D data: `python -m jgen1d.playground`."""
