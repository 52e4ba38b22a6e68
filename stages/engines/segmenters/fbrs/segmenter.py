"""f-BRS as the pipeline uses it: strokes in, one probability map per object out.

Strokes give many clicks at once, where the method was made for one after the other. The policy:

1. Clicks of the object's own strokes are positive, those of all other strokes negative (paper of the pipeline, section
   3.2). Each object has a predictor of its own.
2. They are ordered so that any first few of them stand for all (`in_order`): the network draws the first eight, the
   rest act through the optimisation only, and beyond `click_limit` they are dropped.
3. A first look at the whole picture, not optimised, finds the object. The second look zooms in on it, and there the
   optimisation makes all clicks hold. If the first look found nothing, the second is at the whole picture, too, and a
   third one zooms in on what that found.
4. A single click is not optimised (neither is it in the original); it zooms in if the object turns out to be small.

A network that was trained on strokes is shown all of them instead, as rows of clicks (`line_spacing_px`). One that has
learnt to heed masks, too, decides all objects together, and corrects what they were before (`together.py`).
"""

from dataclasses import replace
from itertools import chain, zip_longest

import numpy as np
from numpy.typing import NDArray
from torch import nn

from stages.core.errors import InputError
from stages.core.strokes import Clicks, FrameScribbles, clicks
from stages.core.types import Frame, Probability
from stages.engines.segmenters.fbrs.clicks import Click
from stages.engines.segmenters.fbrs.fast import rearranged
from stages.engines.segmenters.fbrs.lite import LiteClicks
from stages.engines.segmenters.fbrs.predictor import MODES, NET_CLICKS_LIMIT, Mode, Predictor
from stages.engines.segmenters.fbrs.together import Together
from stages.engines.segmenters.fbrs.zoom import OFFICIAL_ZOOM
from stages.nn.prepare import prepare


class FBRS:
    """The `Segmenter` of f-BRS."""

    def __init__(
        self,
        network: nn.Module,
        mode: Mode = "f-BRS-B",
        exact: bool = False,
        device: str = "cpu",
        spacing_px: float = 40.0,
        click_limit: int = 20,
        look_px: int = 1024,
        crop_px: int = 600,
        line_spacing_px: float | None = None,
        together: bool = True,
        closer: int = 1,
        flip: bool = True,
    ) -> None:
        """Prepare the network.

        Args:
            network: a `ClickNetwork` in eval mode.
            mode: "NoBRS" (no optimisation), "f-BRS-A", "f-BRS-B" or "f-BRS-C" (its place in the network).
            exact: compute step by step as the official code does, its faults included. Otherwise normalisations are
                folded, the objective is evaluated around the clicks, and two faults are mended (see `Predictor`).
            device: "cpu", "cuda", "cuda:1", or "auto": the first GPU if there is one.
            spacing_px: distance of clicks along a stroke, in pixels.
            click_limit: clicks of an object beyond this number are dropped.
            look_px: longer side of what the network sees of a whole picture; smaller ones are not enlarged.
            crop_px: longer side of what the network sees of a crop (600 in the authors' evaluation on DAVIS).
            line_spacing_px: for networks that were trained on strokes: distance of clicks along a stroke, all of which
                the network is shown; instead of `spacing_px` and `click_limit`.
            together: for networks that heed masks: decide all objects together, without optimisation.
            closer: looks at each object after the first one at the whole picture, if together.
            flip: average with the mirror image, if together.

        Raises:
            InputError: an unknown mode, a limit below one, or a GPU that is not there.
        """
        if mode not in MODES:
            raise InputError(f"found the f-BRS mode {mode!r}, expected one of {', '.join(MODES)}; correct it")
        if click_limit < 1:
            raise InputError(f"found a limit of {click_limit} clicks for f-BRS, expected at least 1; raise it")
        self._decides_together = together and isinstance(network, LiteClicks) and network.heeds_masks
        self._network = prepare(network, device, None if exact else rearranged)
        self._mode, self._exact, self._look_px = mode, exact, look_px
        self._closer, self._flip = closer, flip
        self._shows_all = line_spacing_px is not None
        self._spacing_px = line_spacing_px or spacing_px
        self._click_limit = None if self._shows_all else click_limit
        self._zoom = replace(OFFICIAL_ZOOM, target_px=crop_px)

    def segment(self, frame: Frame, scribbles: FrameScribbles, previous: Probability | None = None) -> Probability:
        """See `stages.engines.protocols.Segmenter`. An object that the network does not find is an empty mask."""
        height, width = frame.shape[:2]
        if self._decides_together and scribbles.object_ids:
            chosen = [self._chosen(scribbles, object_id, (width, height)) for object_id in scribbles.object_ids]
            return self.together(frame).segment(chosen, previous, self._closer)
        masks = np.zeros((len(scribbles.object_ids), height, width), dtype=np.float32)
        for mask, object_id in zip(masks, scribbles.object_ids, strict=True):
            mask[:] = self._segment_object(frame, self._chosen(scribbles, object_id, (width, height)))
        return masks

    @property
    def heeds_masks(self) -> bool:
        """See `stages.engines.protocols.HeedsMasks`."""
        return self._decides_together

    def together(self, frame: Frame) -> Together:
        """All objects of a frame, look by look; for networks that take masks."""
        assert isinstance(self._network, LiteClicks)
        return Together(self._network, frame, self._look_px, self._zoom, self._flip)

    def clicks_used(self, scribbles: FrameScribbles, size_wh: tuple[int, int]) -> dict[int, Clicks]:
        """See `stages.engines.protocols.UsesClicks`."""
        used = {}
        for object_id in scribbles.object_ids:
            chosen = self._chosen(scribbles, object_id, size_wh)
            positive, negative = (
                np.array([(c.row, c.column) for c in chosen if c.is_positive is sign], np.float32).reshape(-1, 2)
                for sign in (True, False)
            )
            used[object_id] = Clicks(positive, negative)
        return used

    def _chosen(self, scribbles: FrameScribbles, object_id: int, size_wh: tuple[int, int]) -> list[Click]:
        return in_order(clicks(scribbles, object_id, size_wh, self._spacing_px))[: self._click_limit]

    def _segment_object(self, frame: Frame, chosen: list[Click]) -> Probability:
        several = len(chosen) > 1
        predictor = Predictor(
            self._network,
            frame,
            self._mode,
            exact=self._exact,
            repair=not self._exact,
            zoom=replace(self._zoom, skip_clicks=1 if several else 0),
            net_clicks_limit=None if self._shows_all else NET_CLICKS_LIMIT,
            longest_side_px=self._look_px,
        )
        if several:
            predictor.predict(chosen, optimise=False)
        probability = predictor.predict(chosen)
        return predictor.predict(chosen) if several and predictor.roi is None else probability


def in_order(control: Clicks) -> list[Click]:
    """Order an object's clicks so that any first few stand for all: positive and negative ones in turn.

    The first is the positive click nearest to the middle of all of them, then the negative one nearest to that. Each
    further click of a sign is the one farthest from those of its sign that were taken before.
    """
    if not len(control.positive_yx):
        return []
    positive = farthest_first(control.positive_yx, control.positive_yx.mean(axis=0))
    negative = farthest_first(control.negative_yx, positive[0])
    pairs = zip_longest(
        (Click(True, float(row), float(column)) for row, column in positive),
        (Click(False, float(row), float(column)) for row, column in negative),
    )
    return [click for click in chain.from_iterable(pairs) if click is not None]


def farthest_first(points_yx: NDArray[np.float32], start_yx: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reorder points (N, 2): first the one nearest to `start_yx` (2,), then always the one farthest from all before.

    Among equals the first in the given order.
    """
    if not len(points_yx):
        return points_yx
    order = [int(_distances(points_yx, start_yx).argmin())]
    distance = np.full(len(points_yx), np.inf, points_yx.dtype)
    while len(order) < len(points_yx):
        np.minimum(distance, _distances(points_yx, points_yx[order[-1]]), out=distance)
        distance[order[-1]] = -1  # and stays it
        order.append(int(distance.argmax()))
    return points_yx[order]


def _distances(points_yx: NDArray[np.float32], from_yx: NDArray[np.float32]) -> NDArray[np.float32]:
    """As `np.linalg.norm`, in half of its time: there may be hundreds of points, and each asks all others."""
    y, x = (points_yx - from_yx).T
    distances: NDArray[np.float32] = np.sqrt(y * y + x * x)
    return distances
