"""How `fbrs:lite` is trained: the objects of a crop, and the strokes that somebody would have drawn on them.

Up to three objects of a scene are decided together, as on an anchor: what is drawn on one is drawn beside the others,
and one softmax with the background shares the pixels among them. A scene is seen for the first time, without any masks;
or again, with the masks that the network made of it; or after corrections of its largest errors by clicks (the robot's
rule, f-BRS, CVPR 2020, section 5) or lines; or with masks from elsewhere that are wrong, and strokes that correct them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from stages.core.palette import IGNORE
from stages.engines.segmenters.fbrs.lite import DISC_RADIUS_PX, LiteClicks
from stages.nn.lite import Lite, from_published, from_rgb
from stages.training.crowds import draw_crowd, has_enough
from stages.training.looks import (
    Items,
    click_on_errors,
    items,
    masks_before,
    softened,
    together,
    total_of_others,
    wrong_masks,
)
from stages.training.losses import ious, normalised_focal_loss, soft_iou_loss
from stages.training.pictures import SMALLEST_SIDE_PX, Picture, in_turn
from stages.training.recipe import Batch, Draw, Recipe, Sample, Schedule
from stages.training.scenes import Crowd, drawn
from stages.training.sheets import contour, tiles
from stages.training.strokes import Hand, Path, draw_by, draw_hand, draw_on_background, points_inside, rasterise

SIDE_PX: Final = 256
MOST_OBJECTS: Final = 3
_AGAIN, _CORRECTED, _GIVEN = 0.27, 0.27, 0.13
"""Shares of the scenes that are not seen for the first time."""
_MOST_CORRECTIONS: Final = 3
_LOOKS_FROM: Final = 0.03
"""Progress before which all are: there is nothing to look at yet."""
_MOST_VALIDATED_AT_ONCE: Final = 16
_AT_ONCE: Final = 64
"""A GPU sees a multiple of so many objects: cuDNN chooses, and may compile, its kernels anew for every other number."""


class FbrsLite:
    """The `Recipe`."""

    notes = """
`{engine}` makes the masks of anchor frames from strokes and clicks, those of all objects together: 3.1 million
parameters in the place of f-BRS's networks.

Limits: thin parts (lines, ropes, spokes), things that were not in its pictures, and what a stroke leaves open (the
rider with the horse, or without?) are where it errs.
"""
    # On two cores. A GPU takes batches of 112, of which 4,000 are enough.
    schedule = Schedule(
        steps=9000, batch=16, learning_rate=2e-3, trunk_rate=0.15, warm_up=200, averaging=0.9985, validate_every=1000
    )
    shares: Mapping[str, float] = {
        "coco_open": 0.20,
        "coco_nc": 0.33,
        "davis17_first_frames": 0.09,
        "davis16_train": 0.14,
        "voc10_objects": 0.08,
        "ccp_person": 0.07,
        "bsds_regions": 0.03,
        "weizmann_horses": 0.03,
        "oxford_pets_sample": 0.03,
    }
    engines: Sequence[str] = ()
    on_gpu = True
    wanted = f"an object that is {SMALLEST_SIDE_PX} pixels long"
    validation_examples = 160

    def suits(self, picture: Picture) -> bool:
        """See `Recipe`."""
        return bool(picture.objects(least_px=100))

    def build(self, trunk: Mapping[str, Tensor]) -> nn.Module:
        """See `Recipe`."""
        network = LiteClicks()
        network.encoder.load_state_dict(from_published(trunk, network.encoder), strict=False)
        network.encoder.freeze_early()
        return network

    def trunk(self, network: nn.Module) -> Lite:
        """See `Recipe`."""
        assert isinstance(network, LiteClicks)
        return network.encoder

    def sample(self, pictures: Draw, rng: np.random.Generator) -> Sample:
        """`rgb` (S, S, 3) uint8, `labels` (S, S) uint8: 0, 1.., 255 unknown, `strokes` (S, S) uint8, see `items`."""
        return self._sample(pictures, rng, draw_hand(rng), MOST_OBJECTS)

    def losses(self, network: nn.Module, batch: Batch, progress: float) -> dict[str, Tensor]:
        """See `Recipe`."""
        assert isinstance(network, LiteClicks)
        of = items(batch["labels"], batch["strokes"])
        early = early_taps(network, batch["rgb"])
        maps = of.strokes
        if progress > _LOOKS_FROM:
            with torch.no_grad():
                maps = _later_looks(network, early, of, int(1e6 * progress))
        alone = _logits(network, early, of.scene, maps)
        shared = together(alone, of.scene, of.scenes)
        return {
            "focal": 0.5 * (normalised_focal_loss(alone, of.target) + normalised_focal_loss(shared, of.target)),
            "iou": 0.5 * soft_iou_loss(shared, of.target),
        }

    def validate(self, network: nn.Module, held_out: Sequence[Picture]) -> dict[str, float]:
        """IoU on fixed examples of held-out pictures.

        `iou` from strokes, in two looks; `iou_first` at the first one; `iou_several` of objects with neighbours, in two
        looks; `iou_3_clicks` after three corrections; `iou_1_click` from a click on each object and nothing else.
        """
        assert isinstance(network, LiteClicks)
        names = ("iou", "iou_first", "iou_several", "iou_3_clicks", "iou_1_click")
        count, results = self.validation_examples, {name: list[float]() for name in names}
        with torch.no_grad():
            for batch in self._batches(held_out, network, count, hands=("robot", "annotator", "person")):
                scenes = _Scenes(network, batch)
                of = scenes.items
                found = scenes.look(of.strokes)
                results["iou_first"] += ious(found > 0, of.target)
                found = scenes.look(scenes.maps(of.strokes, found))
                scores = ious(found > 0, of.target)
                results["iou"] += scores
                results["iou_several"] += [scores[item] for item in of.of_scenes(of.counts > 1).tolist()]
                strokes = of.strokes
                for _ in range(3):
                    strokes = click_on_errors(strokes, found, of.target)
                    found = scenes.look(scenes.maps(strokes, found))
                results["iou_3_clicks"] += ious(found > 0, of.target)
            for batch in self._batches(held_out, network, count // 2, hands=("clicks",)):
                scenes = _Scenes(network, batch)
                of = scenes.items
                nothing = torch.full_like(of.target, -1, dtype=torch.float32)
                click = click_on_errors(torch.zeros_like(of.strokes), nothing, of.target)
                found = scenes.look(scenes.maps(click, scenes.look(click)))
                results["iou_1_click"] += ious(found > 0, of.target)
        return {name: float(np.mean(values)) for name, values in results.items() if values}

    def sheet(self, network: nn.Module, held_out: Sequence[Picture]) -> NDArray[np.uint8]:
        """Held-out examples: strokes in white, on the rest in black; the outlines found red, the true ones green."""
        assert isinstance(network, LiteClicks)
        pictures: list[NDArray[np.uint8]] = []
        for batch in self._batches(held_out, network, 32, hands=("robot", "person", "clicks", "annotator")):
            scenes = _Scenes(network, batch)
            of = scenes.items
            found = scenes.look(scenes.maps(of.strokes, scenes.look(of.strokes)))
            masks, targets = (found > 0).cpu().numpy(), of.target.cpu().numpy() == 1
            drawn_on = batch["rgb"].cpu().numpy()
            for picture, strokes in zip(drawn_on, batch["strokes"].cpu().numpy(), strict=True):
                picture[strokes == 1] = 0
                picture[strokes > 1] = 255
            shown = list(drawn_on)
            for scene, mask, target in zip(of.scene.tolist(), masks, targets, strict=True):
                shown[scene] = contour(contour(shown[scene], target, (0, 255, 0)), mask, (255, 0, 0))
            pictures += shown
        return tiles(pictures, columns=8)

    def _sample(self, pictures: Draw, rng: np.random.Generator, hand: Hand, most: int) -> Sample:
        crowd = drawn(lambda: draw_crowd(pictures, rng, SIDE_PX, most), has_enough, "an object of some size")
        return {"rgb": crowd.rgb, "labels": crowd.labels, "strokes": stroke_bits(crowd, hand, rng)}

    def _batches(
        self, held_out: Sequence[Picture], network: nn.Module, count: int, hands: Sequence[Hand]
    ) -> Iterator[Batch]:
        """Fixed examples, on the network's device."""
        rng = np.random.default_rng(0)
        chosen = [picture for picture in in_turn(held_out, self.shares, count) if picture.has_large_object]
        chosen = chosen or in_turn(list(filter(self.suits, held_out)), self.shares, count)
        device = next(network.parameters()).device
        for start in range(0, len(chosen), _MOST_VALIDATED_AT_ONCE):
            samples = [
                self._sample(lambda _rng, only=picture: only, rng, hands[(start + place) % len(hands)], MOST_OBJECTS)
                for place, picture in enumerate(chosen[start : start + _MOST_VALIDATED_AT_ONCE])
            ]
            yield {
                name: torch.from_numpy(np.stack([sample[name] for sample in samples])).to(device) for name in samples[0]
            }


class _Scenes:
    """The scenes of a batch, and one look after the other at all of their objects."""

    def __init__(self, network: LiteClicks, batch: Batch) -> None:
        self.items = items(batch["labels"], batch["strokes"])
        self._network, self._early = network, early_taps(network, batch["rgb"])

    def look(self, maps: Tensor) -> Tensor:
        """Logits (N, H, W), shared among the objects of each scene."""
        of = self.items
        return together(_logits(self._network, self._early, of.scene, maps), of.scene, of.scenes)

    def maps(self, strokes: Tensor, found: Tensor) -> Tensor:
        """For the next look, from the logits of this one."""
        return masks_before(strokes, found.sigmoid(), self.items.scene, self.items.scenes)


def early_taps(network: LiteClicks, rgb: Tensor) -> tuple[Tensor, Tensor]:
    """What is the same for all objects of pictures (B, H, W, 3) uint8; it is never trained."""
    with torch.no_grad():
        return network.encoder.early(from_rgb(rgb.permute(0, 3, 1, 2).float()))


def logits(network: nn.Module, rgb: Tensor, maps: Tensor) -> Tensor:
    """(N, H, W) for pictures (N, H, W, 3) uint8 and drawn clicks (N, 2..4, H, W), each object alone."""
    assert isinstance(network, LiteClicks)
    return network.logits_from(early_taps(network, rgb), maps)


def _logits(network: LiteClicks, early: tuple[Tensor, Tensor], scene: Tensor, maps: Tensor) -> Tensor:
    count = len(scene)
    if maps.device.type == "cuda" and (missing := -count % _AT_ONCE):
        scene = functional.pad(scene, (0, missing))
        maps = functional.pad(maps, (0, 0, 0, 0, 0, 0, 0, missing))
    return network.logits_from((early[0][scene], early[1][scene]), maps).float()[:count]


def _later_looks(network: LiteClicks, early: tuple[Tensor, Tensor], of: Items, seed: int) -> Tensor:
    """The maps of all items; in a part of the scenes with masks from an earlier look, or given, and corrections."""
    rng, chance = np.random.default_rng(seed), torch.Generator(of.scene.device).manual_seed(seed)
    lot = torch.rand(of.scenes, generator=chance, device=of.scene.device)
    corrected = lot < _CORRECTED
    seen = lot < _CORRECTED + _AGAIN
    given = ~seen & (lot < _CORRECTED + _AGAIN + _GIVEN)
    maps = torch.cat([of.strokes, torch.zeros_like(of.strokes)], 1)

    with _evaluating(network):
        chosen = of.of_scenes(seen)
        maps[chosen] = _looked_at(network, early, of, chosen, maps[chosen], 2 ** int(rng.integers(0, 4)))
        for _ in range(int(rng.integers(1, _MOST_CORRECTIONS + 1))):
            chosen = of.of_scenes(corrected)
            maps[chosen] = _with_corrections(maps[chosen], of, chosen, chance)
            if rng.random() < 0.5:
                maps[chosen] = _looked_at(network, early, of, chosen, maps[chosen], 1)

    chosen = of.of_scenes(given)
    target, scene = of.target[chosen], of.scene[chosen]
    others = total_of_others((target == 1).float(), scene, of.scenes)
    before = wrong_masks(target, others, chance)
    strokes = (
        of.strokes[chosen] * (torch.rand((of.scenes, 1, 1, 1), generator=chance, device=scene.device) < 0.5)[scene]
    )
    maps[chosen] = _with_corrections(masks_before(strokes, before, scene, of.scenes), of, chosen, chance)

    # Now and then an object is looked at as if it were the only one.
    lonely = torch.rand((of.scenes, 1, 1), generator=chance, device=of.scene.device) < 0.1
    maps[:, 3] *= ~lonely[of.scene]
    return maps


def _looked_at(
    network: LiteClicks, early: tuple[Tensor, Tensor], of: Items, chosen: Tensor, maps: Tensor, factor: int
) -> Tensor:
    scene = of.scene[chosen]
    found = together(_logits(network, early, scene, maps), scene, of.scenes)
    return masks_before(maps[:, :2], softened(found.sigmoid(), factor), scene, of.scenes)


def _with_corrections(maps: Tensor, of: Items, chosen: Tensor, chance: torch.Generator) -> Tensor:
    """A click or a line on each object's largest error; what is drawn on one object is beside the others."""
    scene = of.scene[chosen]
    lines = torch.rand(of.scenes, generator=chance, device=scene.device)[scene] < 0.5
    after = click_on_errors(maps, maps[:, 2] - 0.5, of.target[chosen], lines, chance)
    beside = total_of_others(after[:, 0] - maps[:, 0], scene, of.scenes)
    after[:, 1] = torch.maximum(after[:, 1], beside.clamp(0, 1))
    return after


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    network.eval()
    try:
        yield
    finally:
        network.train()


def stroke_bits(crowd: Crowd, hand: Hand, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Strokes on every object and, in a part of the scenes, on the background: (S, S), bit k object k, 0 neither."""
    labels = crowd.labels
    bits = np.zeros(labels.shape, np.uint8)

    def draw(paths: list[Path], bit: int) -> None:
        bits[rasterise(paths, labels.shape, DISC_RADIUS_PX) > 0] |= np.uint8(1 << bit)

    for number in range(1, crowd.count + 1):
        if (labels == number).any():
            draw(draw_by(hand, labels == number, rng), number)
    free = cv2.erode((labels == 0).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    if free.any() and rng.random() < (0.5 if hand in ("person", "clicks") else 0.3):
        draw(draw_on_background((labels > 0) & (labels != IGNORE), free, rng), 0)
    beside = crowd.bystanders & free
    if beside.any() and rng.random() < 0.5:
        draw(list(points_inside(beside, int(rng.integers(1, 4)), rng)[:, None]), 0)
    return bits


RECIPE: Recipe = FbrsLite()
