"""Environments and agents: the registry of environments, one line each."""

from jgen1d.worlds import cartpole, linear_quadratic, pendulum
from jgen1d.worlds.environment import Environment

ENVIRONMENTS: dict[str, Environment] = {
    "cartpole": cartpole.ENVIRONMENT,
    "linear_quadratic": linear_quadratic.ENVIRONMENT,
    "pendulum": pendulum.ENVIRONMENT,
}
