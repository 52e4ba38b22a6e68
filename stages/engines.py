"""The three plug points: what an engine must do, and which engine a name stands for.

An engine's name is `engine` or `engine:network` (`grabcut`, `fbrs:lite`). Modules of engines are imported only when
one is built, so that knowing the names costs nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from stages import weights
from stages.errors import InputError
from stages.scribbles import FrameScribbles

Frame = NDArray[np.uint8]
"""A picture: (H, W, 3) uint8 RGB."""
Probability = NDArray[np.float32]
"""Soft masks: (H, W) or (objects, H, W) float32 in [0, 1]."""


class Segmenter(Protocol):
    """Anchor masks from scribbles."""

    def segment(self, frame: Frame, scribbles: FrameScribbles) -> Probability:
        """Segment every object that has a line on the frame.

        Args:
            frame: (H, W, 3) uint8 RGB.
            scribbles: the lines on this frame; object 0 is background.

        Returns:
            (objects, H, W) float32 in [0, 1], in the order of `scribbles.object_ids`.
        """
        ...


class Anchor(NamedTuple):
    """A frame whose masks are known: where propagation starts."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    frame: Frame
    masks: Probability
    """(objects, H, W) float32 in [0, 1]; an object that is absent here is all zero."""


@dataclass(frozen=True)
class Direction:
    """What one direction of a two-directional engine saw of every object on one frame."""

    box_xyxy: NDArray[np.float32]
    """(objects, 4) pixels, right and bottom exclusive; zeros where the object is lost or absent."""
    score: NDArray[np.float32]
    """(objects,) in [0, 1]."""


@dataclass(frozen=True)
class SegmentFrame:
    """The joined result of a segment on one frame."""

    index: int
    probability: Probability
    """(objects, H, W) float32 in [0, 1]."""
    score: NDArray[np.float32]
    """(objects,) in [0, 1]: how sure the engine is."""
    agreement: NDArray[np.float32]
    """(objects,) IoU of the forward and the backward mask; NaN where only one direction exists."""
    reasons: tuple[str, ...]
    """(objects,) why a mask is empty ("absent", "lost: ..."); "" where there is one."""
    directions: dict[str, Direction] = field(default_factory=dict)
    """"forward" and "backward", for engines that have them."""


class Propagator(Protocol):
    """Masks between two anchors."""

    def propagate(self, frames: Sequence[Frame], left: Anchor | None, right: Anchor | None) -> Iterator[SegmentFrame]:
        """Carry the anchors' masks over the frames strictly between them, in order.

        Args:
            frames: the whole video, by frame index; read lazily, in any order.
            left: the anchor before the stretch, or None: the stretch starts at frame 0.
            right: the anchor after it, or None: the stretch ends with the video. Not both may be None;
                if both are given, they hold the same objects in the same order.

        Yields:
            One SegmentFrame per frame, index ascending.
        """
        ...


@dataclass(frozen=True)
class TrackResult:
    """One object on one frame, seen from one direction."""

    probability: Probability
    """(H, W) float32 in [0, 1]; all zero when the object is lost."""
    box_xyxy: tuple[float, float, float, float]
    """Pixels, right and bottom exclusive."""
    score: float
    """In [0, 1]."""
    reason: str = ""
    """Why the mask is empty, if it is."""


class Tracker(Protocol):
    """One object, one direction, frame by frame. Light: networks are shared between trackers."""

    def start(self, frame: Frame, mask: Probability) -> None:
        """Begin with the object's soft mask (H, W) on its anchor frame; the mask is not empty."""
        ...

    def step(self, frame: Frame) -> TrackResult:
        """Follow the object to the next frame (the neighbour of the last one, in either direction of time)."""
        ...


class Refiner(Protocol):
    """A sharper boundary for one object on one frame."""

    def refine(self, frame: Frame, probability: Probability) -> Probability:
        """Refine a soft mask (H, W) float32 in [0, 1] to another of the same shape; an empty mask stays empty."""
        ...


class _Engine(NamedTuple):
    """How an engine is made: called with its network, if it has one, and with the options that it knows."""

    place: str
    """`module:attribute`."""
    options: tuple[str, ...] = ()


_ENGINES = {
    "segmenter": {
        "grabcut": _Engine("stages.segmenters.grabcut:GrabCut"),
        "fbrs": _Engine("stages.segmenters.fbrs.segmenter:FBRS", ("spacing_px", "mode", "exact")),
    },
    "propagator": {
        "flow": _Engine("stages.propagators.flow:Flow"),
        "match": _Engine("stages.propagators.match.engine:Match"),
        "siammask": _Engine("stages.propagators.siammask.engine:engine", ("exact", "padding", "lost_score")),
    },
    "refiner": {
        "guided": _Engine("stages.refiners.guided:Guided"),
        "none": _Engine("stages.refiners:Unrefined"),
        "cascadepsp": _Engine("stages.refiners.cascadepsp.refiner:CascadePSP", ("exact",)),
    },
}


@cache
def names(plug: str) -> tuple[str, ...]:
    """Every name of a plug point's engines (`segmenter`, `propagator` or `refiner`), with their networks."""
    with_weights = [entry.engine for entry in weights.entries()]
    families = _ENGINES[plug]
    plain = [name for name in families if name in weights.WITHOUT_WEIGHTS]
    return (*plain, *(name for name in with_weights if name.partition(":")[0] in families))


def modules(plug: str, name: str) -> tuple[str, ...]:
    """What building and running the engine imports."""
    module = _engine(plug, name).place.partition(":")[0]
    return (module, "torch") if weights.entry(name) else (module,)


def relevant(plug: str, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Those of the options that the engine knows."""
    known = _engine(plug, name).options
    return {option: value for option, value in options.items() if option in known}


def memory_mib(plug: str, name: str, options: dict[str, Any]) -> int:
    """What a process with the engine takes on 480p frames, in MiB: measured and rounded up, see docs/performance.md."""
    checkpoint = weights.entry(name)
    if checkpoint is None:
        return 256
    if checkpoint.network in weights.small_networks() or checkpoint.network == "match_trunk":
        return 512
    if plug == "propagator":
        return 1024
    return 3072 if plug == "refiner" and options.get("exact") else 2048


def segmenter(name: str, weights_root: Path, device: str, options: dict[str, Any]) -> Segmenter:
    """Build the engine for anchor masks; see `_build`."""
    return cast(Segmenter, _build("segmenter", name, weights_root, device, options))


def propagator(name: str, weights_root: Path, device: str, options: dict[str, Any]) -> Propagator:
    """Build the engine that carries masks along; see `_build`."""
    return cast(Propagator, _build("propagator", name, weights_root, device, options))


def refiner(name: str, weights_root: Path, device: str, options: dict[str, Any]) -> Refiner:
    """Build the engine that sharpens boundaries; see `_build`."""
    return cast(Refiner, _build("refiner", name, weights_root, device, options))


def _build(plug: str, name: str, weights_root: Path, device: str, options: dict[str, Any]) -> object:
    """Build an engine by name; the last ones are kept, networks included, and given again.

    Args:
        plug: the plug point.
        name: `engine` or `engine:network`.
        weights_root: folder of the checkpoints.
        device: `auto`, `cpu` or `cuda`; for networks only.
        options: the run's; the engine gets those that it knows.

    Raises:
        InputError: no such engine.
        WeightsError: its checkpoint is missing, damaged, or belongs to another network.
    """
    chosen = tuple(sorted(relevant(plug, name, options).items()))
    if weights.entry(name) is None:
        return _made(plug, name, weights_root, device, chosen, None)
    stat = weights.locate(name, weights_root).stat()
    return _made(plug, name, weights_root, device, chosen, (stat.st_mtime_ns, stat.st_size, stat.st_ino))


@lru_cache(maxsize=4)
def _made(
    plug: str,
    name: str,
    weights_root: Path,
    device: str,
    options: tuple[tuple[str, Any], ...],
    _checkpoint: tuple[int, ...] | None,
) -> object:
    module, _, attribute = _engine(plug, name).place.partition(":")
    make: Callable[..., object] = getattr(import_module(module), attribute)
    checkpoint = weights.entry(name)
    if checkpoint is None:
        return make(**dict(options))
    return make(weights.load_network(name, weights_root), device=device, **checkpoint.options, **dict(options))


def _engine(plug: str, name: str) -> _Engine:
    if name not in names(plug):
        raise InputError(f"no {plug} is called `{name}`; there are: {', '.join(names(plug))}.")
    return _ENGINES[plug][name.partition(":")[0]]
