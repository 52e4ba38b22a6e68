"""The recipes, by the networks' names."""

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Final

from stages.engines.registry import small_network
from stages.training import cascadepsp_lite, fbrs_lite, match_lite, pointrend_lite, siammask_lite
from stages.training.recipe import Recipe

RECIPES: Final[Mapping[str, Recipe]] = {
    "fbrs_lite": fbrs_lite.RECIPE,
    "match_lite": match_lite.RECIPE,
    "siammask_lite": siammask_lite.RECIPE,
    "cascadepsp_lite": cascadepsp_lite.RECIPE,
    "pointrend_lite": pointrend_lite.RECIPE,
}


def recipe(network: str) -> Recipe:
    """The recipe for a network.

    Raises:
        InputError: there is none; the message has the nearest name.
    """
    assert small_network(network).network is not None
    return RECIPES[network]


def chosen_recipe(
    network: str, shares: Mapping[str, float], *, steps: int = 0, batch: int = 0, learning_rate: float = 0
) -> Recipe:
    """A network's recipe, with other sets of pictures or another schedule as far as they are given.

    Raises:
        InputError: there is no such recipe.
    """
    chosen = copy(recipe(network))
    if shares:
        chosen.shares = dict(shares)
    if steps:
        chosen.schedule = chosen.schedule.lasting(steps)
    if batch:
        chosen.schedule = replace(chosen.schedule, batch=batch)
    if learning_rate:
        chosen.schedule = replace(chosen.schedule, learning_rate=learning_rate)
    return chosen
