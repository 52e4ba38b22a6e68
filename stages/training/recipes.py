"""The recipes, by the networks' names."""

from collections.abc import Mapping
from copy import copy
from typing import Final

from stages.engines.registry import small_network
from stages.training import cascadepsp_lite, fbrs_lite, match_lite, siammask_lite
from stages.training.recipe import Recipe

RECIPES: Final[Mapping[str, Recipe]] = {
    "fbrs_lite": fbrs_lite.RECIPE,
    "match_lite": match_lite.RECIPE,
    "siammask_lite": siammask_lite.RECIPE,
    "cascadepsp_lite": cascadepsp_lite.RECIPE,
}


def recipe(network: str) -> Recipe:
    """The recipe for a network.

    Raises:
        InputError: there is none; the message has the nearest name.
    """
    assert small_network(network).network is not None
    return RECIPES[network]


def chosen_recipe(network: str, shares: Mapping[str, float], steps: int) -> Recipe:
    """A network's recipe, with other sets of pictures or another length if they are given.

    Raises:
        InputError: there is no such recipe.
    """
    chosen = copy(recipe(network))
    if shares:
        chosen.shares = dict(shares)
    if steps:
        chosen.schedule = chosen.schedule.lasting(steps)
    return chosen
