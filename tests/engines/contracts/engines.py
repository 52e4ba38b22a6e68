"""The engines that the contracts are tried on: all of the registry, so that a new one needs no new test."""

from pathlib import Path
from typing import Any

import numpy as np

from stages.engines import registry
from stages.engines.engine import Engine
from stages.engines.spec import PLUGS, Plug, Spec
from stages.testing.propagators import check_stretch
from stages.testing.refiners import check_refine
from stages.testing.scenes import Scene
from stages.testing.segmenters import check_segment

SPECS: list[Spec] = [spec for plug in PLUGS for spec in registry.specs(plug).values()]
ENGINES: list[Engine] = [engine for plug in PLUGS for engine in registry.engines(plug)]
DEFAULTS = {option.name: option.default for spec in SPECS for option in spec.options}


def at_hand(*plugs: Plug) -> list[Engine]:
    """The engines that need no weights, or come with them."""
    return [each for each in ENGINES if each.spec.plug in plugs and each.is_at_hand]


def build(engine: Engine, device: str = "cpu", **options: Any) -> Any:
    """A new engine, with the network that it comes with, or else one with arbitrary weights.

    Options are those of luigi.cfg, where they are not the defaults.
    """
    make = engine.spec.resolve(engine.spec.build)
    arguments = engine.arguments({**DEFAULTS, **options})
    if engine.network is None:
        return make(**arguments)
    if engine.comes_with_weights:
        network = registry.load_network(engine.name, Path("no folder of checkpoints"))
    else:
        from tests.parity.filled import fill

        network = fill(registry.build_network(engine.network.key))
    return make(network, device=device, **engine.network.arguments, **arguments)


def try_out(engine: Engine, built: Any, scene: Scene) -> list[np.ndarray]:
    """The least that shows that an engine works: masks of the right shape and range, on a few frames."""
    if engine.spec.plug == "segmenter":
        return [check_segment(built, scene.frame(0), scene.scribbles(), engine.name)]
    if engine.spec.plug == "refiner":
        return [check_refine(built, scene.frame(0), scene.masks(0)[0], engine.name)]
    results = check_stretch(built, scene, scene.anchor(3), scene.anchor(6), engine.name)
    return [result.probability for result in results]
