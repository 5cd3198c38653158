"""The registry of methods: one line each."""

from jgen1d.core import Method
from jgen1d.methods import (
    autoencoder,
    autoregressive,
    box,
    diffusion,
    energy,
    flow_matching,
    gan,
    gaussian,
    gmm,
    gradient_mle,
    histogram,
    kde,
    normalizing_flow,
    vae,
)

METHODS: dict[str, Method] = {
    "autoencoder": autoencoder.METHOD,
    "autoregressive": autoregressive.METHOD,
    "box": box.METHOD,
    "diffusion": diffusion.METHOD,
    "energy": energy.METHOD,
    "flow_matching": flow_matching.METHOD,
    "gan": gan.METHOD,
    "gaussian": gaussian.METHOD,
    "gmm": gmm.METHOD,
    "gradient_mle": gradient_mle.METHOD,
    "histogram": histogram.METHOD,
    "kde": kde.METHOD,
    "normalizing_flow": normalizing_flow.METHOD,
    "vae": vae.METHOD,
}


def name_of(method: Method) -> str:
    """A method's name in `METHODS`; of a user's own, the module that its config is defined in."""
    return next((name for name, known in METHODS.items() if known == method), method.Config.__module__)
