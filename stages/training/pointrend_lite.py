"""How `pointrend:lite` is trained: points near the boundary of a mask that is not quite right, and what they should be.

The masks are those that the pipeline makes of clips (`chains.py`), seen in windows as in use; a share of them, all
where there are no clips, are pictures' masks that were damaged (`imperfect.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from stages.core.metrics import boundary_accuracy, region_similarity
from stages.core.palette import IGNORE
from stages.core.soft import from_uint8
from stages.core.types import Frame, Probability
from stages.engines.refiners.pointrend.boundary import Boundary, Window, band_of
from stages.engines.refiners.pointrend.lite import CELL, LitePoints, told, views
from stages.training.chains import ENGINES, LEAST_OBJECT_PX, draw_example, draw_made
from stages.training.imperfect import imperfect_mask
from stages.training.pictures import SMALLEST_SIDE_PX, Picture, by_clip, clips_of, in_turn
from stages.training.recipe import Batch, Draw, Recipe, Sample, Schedule
from stages.training.scenes import draw_scene, drawn, nearest_known, photograph, with_band
from stages.training.sheets import contour, tiles

_OF_CLIPS: Final = 0.7
"""Share of the examples whose masks the pipeline has made of a clip."""
_SIZES: Final = (0.7, 1.3)
"""Of a clip's frames, as they are seen."""
_SIDE_PX: Final = 224
_FILL: Final = (0.4, 0.95)
_PASTED: Final = 0.4
_POINTS: Final = 512
"""Of an example."""


class PointRendLite:
    """The `Recipe`."""

    notes = """
`{engine}` moves a mask's boundary to where the colours change, point by point: 3,400 parameters in the place of
`cascadepsp:lite`'s three million, for a quarter of its time.

Limits: it knows colours and no things. It changes nothing farther than some 16 pixels from the boundary, and brings
little where object and background have the same colours.
"""
    schedule = Schedule(steps=1200, batch=8, learning_rate=3e-3, warm_up=40, averaging=0.99, validate_every=400)
    shares: Mapping[str, float] = {
        "davis16_train": 0.4,
        "davis17_first_frames": 0.2,
        "ccp_person": 0.2,
        "coco_open": 0.2,
    }
    engines: Sequence[str] = ENGINES
    on_gpu = False
    wanted = f"an object of some {LEAST_OBJECT_PX} pixels that is {SMALLEST_SIDE_PX} pixels long"

    def suits(self, picture: Picture) -> bool:
        """See `Recipe`."""
        return bool(picture.objects(LEAST_OBJECT_PX))

    def build(self, trunk: Mapping[str, Tensor]) -> nn.Module:
        """See `Recipe`; it has no trunk."""
        return LitePoints()

    def trunk(self, network: nn.Module) -> nn.Module:
        """See `Recipe`."""
        return nn.Module()

    def sample(self, pictures: Draw, rng: np.random.Generator) -> Sample:
        """`told` (numbers, P) float32 and `target` (P,) float32 in [0, 1] of points; NaN: unknown."""
        if (clips := clips_of(pictures)) and rng.random() < _OF_CLIPS:
            return draw_example(clips, of_clip, rng)
        return drawn(lambda: of_picture(pictures, rng) or {}, bool, "an object of some size")

    def losses(self, network: nn.Module, batch: Batch, progress: float) -> dict[str, Tensor]:
        """See `Recipe`."""
        target = batch["target"]
        known = ~target.isnan()
        logits = network(batch["told"])[:, 0]
        return {"points": functional.binary_cross_entropy_with_logits(logits[known], target[known])}

    def validate(self, network: nn.Module, held_out: Sequence[Picture]) -> dict[str, float]:
        """J and F gained on fixed examples of held-out clips, or of pictures where there are none."""
        assert isinstance(network, LitePoints)
        rows = []
        for frame, mask, truth in self._examples(held_out, count=64):
            refined = Boundary(network, device="cpu").refine(frame, mask)
            rows.append([_scores(each > 0.5, truth) for each in (mask, refined)])
        before, after = np.mean(rows, axis=0)
        return {"f_gain": float(after[1] - before[1]), "j_gain": float(after[0] - before[0]), "f": float(after[1])}

    def sheet(self, network: nn.Module, held_out: Sequence[Picture]) -> NDArray[np.uint8]:
        """Held-out examples: outlines of the mask as given in yellow, of the truth in green, of the result in red."""
        assert isinstance(network, LitePoints)
        shown = []
        for frame, mask, truth in self._examples(held_out, count=24):
            refined = Boundary(network, device="cpu").refine(frame, mask)
            left, right = contour(frame, mask > 0.5, (255, 255, 0)), contour(frame, truth, (0, 255, 0))
            shown += [left, contour(right, refined > 0.5, (255, 0, 0))]
        return tiles([cv2.resize(each, (320, 240), interpolation=cv2.INTER_AREA) for each in shown], columns=6)

    def _examples(self, held_out: Sequence[Picture], count: int) -> list[tuple[Frame, Probability, NDArray[np.bool_]]]:
        rng = np.random.default_rng(0)
        if clips := by_clip(held_out):
            made = [draw_made(clips[number % len(clips)], rng) for number in range(count)]
            return [
                (each.picture.rgb, from_uint8(each.mask), each.picture.labels == each.object_id)
                for each in filter(None, made)
            ]
        suiting = list(filter(self.suits, held_out))
        scenes = [_damaged(lambda _rng, only=each: only, rng) for each in in_turn(suiting, self.shares, count)]
        return [(rgb, mask, target == 1) for rgb, mask, target in scenes]


def of_clip(frames: Sequence[Picture], rng: np.random.Generator) -> Sample | None:
    """Points of a frame of a clip; None if the pipeline's mask of it is all wrong."""
    if (made := draw_made(frames, rng)) is None:
        return None
    picture, object_id, mask = made.picture, made.object_id, from_uint8(made.mask)
    target = np.where(picture.labels == IGNORE, np.nan, picture.labels == object_id).astype(np.float32)
    size = np.exp(rng.uniform(*np.log(_SIZES)))
    rgb, mask, target = (
        cv2.resize(layer, None, fx=size, fy=size, interpolation=cv2.INTER_AREA if size < 1 else cv2.INTER_LINEAR)
        for layer in (picture.rgb, mask, target)
    )
    return points_of(photograph(rgb, rng), mask, target, rng)


def of_picture(pictures: Draw, rng: np.random.Generator) -> Sample | None:
    """Points of a picture whose mask was damaged; None if too little is to be seen of its object."""
    rgb, mask, target = _damaged(pictures, rng)
    return points_of(rgb, mask, np.where(target == IGNORE, np.nan, target).astype(np.float32), rng)


def points_of(rgb: Frame, mask: Probability, target: NDArray[np.float32], rng: np.random.Generator) -> Sample | None:
    """What some points near the boundary are told, as in use, and what they should be; None if there are none."""
    if np.count_nonzero(mask > 0.5) < LEAST_OBJECT_PX:
        return None
    window = Window.around(mask > 0.5)
    cells, near = (torch.from_numpy(view)[None] for view in views(window.seen(rgb), window.seen(mask)))
    band = np.kron(band_of(cells)[0, 0].numpy(), np.ones((CELL, CELL)))
    chosen = rng.choice(np.flatnonzero(band), _POINTS)
    rows, columns = np.divmod(chosen, band.shape[1])
    points = np.stack([(columns + 0.5) / band.shape[1], (rows + 0.5) / band.shape[0]], axis=-1).astype(np.float32)
    with torch.no_grad():
        numbers = told(cells, near, torch.from_numpy(points)[None])[0].numpy()
    return {"told": numbers, "target": window.seen(target).ravel()[chosen]}


def _damaged(pictures: Draw, rng: np.random.Generator) -> tuple[Frame, Probability, NDArray[np.uint8]]:
    """A picture (S, S), a mask that is wrong, and what is right: 1, 0, 255 unknown."""
    scene = drawn(
        lambda: draw_scene(lambda rng: with_band(pictures(rng)), rng, _SIDE_PX, _PASTED, _FILL),
        lambda scene: np.count_nonzero(nearest_known(scene.target)) >= LEAST_OBJECT_PX,
        "an object of some size",
    )
    mask = imperfect_mask(nearest_known(scene.target), scene.others > 0, scene.rgb, rng)
    return scene.rgb, mask, scene.target


def _scores(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[float, float]:
    return region_similarity(found, truth), boundary_accuracy(found, truth, tolerance_px=4)


RECIPE: Recipe = PointRendLite()
