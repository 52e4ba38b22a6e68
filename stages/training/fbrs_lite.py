"""How `fbrs:lite` is trained: an object in a crop, the strokes that an annotator would have drawn on it.

In the lazy protocol the strokes on an anchor are positive, all of them at once, so most examples are like that. A third
also has strokes on what is not meant; in a quarter of the steps the network is shown its largest error by a click (the
robot's rule, f-BRS, CVPR 2020, section 5).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.engines.segmenters.fbrs.lite import DISC_RADIUS_PX, LiteClicks
from stages.nn.lite import Lite, from_published, from_rgb, upsample
from stages.training.losses import ious, normalised_focal_loss, soft_iou_loss
from stages.training.pictures import SMALLEST_SIDE_PX, Picture, in_turn
from stages.training.recipe import Batch, Draw, Recipe, Sample, Schedule
from stages.training.scenes import Scene, draw_scene, drawn
from stages.training.sheets import contour, tiles
from stages.training.strokes import draw_strokes, points_inside, rasterise

SIDE_PX: Final = 224
_CORRECTED_STEPS: Final = 0.25


class FbrsLite:
    """The `Recipe`."""

    notes = """
`{engine}` makes the masks of anchor frames from strokes: 3.1 million parameters in the place of f-BRS's networks.

Limits: thin parts (lines, ropes, spokes), things that were not in its pictures, and what a stroke leaves open (the
rider with the horse, or without?) are where it errs.
"""
    schedule = Schedule(steps=6000, batch=10, learning_rate=1.5e-3, restarts=(3600,))
    shares: Mapping[str, float] = {"coco_open": 0.3, "coco_nc": 0.5, "ccp_person": 0.2}
    engines: Sequence[str] = ()
    wanted = f"an object that is {SMALLEST_SIDE_PX} pixels long"

    validation_examples = 96

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
        """`rgb` (S, S, 3) uint8, `maps` (2, S, S) float32 in [0, 1], `target` (S, S) uint8: 1, 0, 255 unknown."""
        scene = drawn(
            lambda: draw_scene(pictures, rng, SIDE_PX),
            lambda scene: np.count_nonzero(scene.target == 1) >= 40,
            "an object of some size",
        )
        return {"rgb": scene.rgb, "maps": stroke_maps(scene, rng, rng.random() < 0.3), "target": scene.target}

    def losses(self, network: nn.Module, batch: Batch, progress: float) -> dict[str, Tensor]:
        """See `Recipe`."""
        maps, target = batch["maps"], batch["target"]
        if progress > 0.15 and np.random.default_rng(int(1e6 * progress)).random() < _CORRECTED_STEPS:
            network.eval()
            maps = click_on_errors(maps, logits(network, batch["rgb"], maps), target)
            network.train()
        predicted = logits(network, batch["rgb"], maps)
        return {
            "focal": normalised_focal_loss(predicted, target),
            "iou": 0.5 * soft_iou_loss(predicted, target),
        }

    def validate(self, network: nn.Module, held_out: Sequence[Picture]) -> dict[str, float]:
        """IoU from strokes alone, and from strokes and three corrections, on fixed examples of held-out pictures."""
        examples = self._examples(held_out, self.validation_examples)
        first, corrected = [], []
        for start in range(0, len(examples), 8):
            batch = {
                name: torch.from_numpy(np.stack([e[name] for e in examples[start : start + 8]])) for name in examples[0]
            }
            maps, target = batch["maps"], batch["target"]
            predicted = logits(network, batch["rgb"], maps)
            first += ious(predicted > 0, target)
            for _ in range(3):
                maps = click_on_errors(maps, predicted, target)
                predicted = logits(network, batch["rgb"], maps)
            corrected += ious(predicted > 0, target)
        return {"iou": float(np.mean(first)), "iou_3_clicks": float(np.mean(corrected))}

    def sheet(self, network: nn.Module, held_out: Sequence[Picture]) -> NDArray[np.uint8]:
        """Held-out examples: strokes in white, the prediction's outline in red, the truth's in green."""
        pictures = []
        for example in self._examples(held_out, count=32):
            batch = {name: torch.from_numpy(value[None]) for name, value in example.items()}
            found = logits(network, batch["rgb"], batch["maps"])[0].numpy() > 0
            picture = example["rgb"].copy()
            picture[example["maps"][0] > 0] = 255
            picture[example["maps"][1] > 0] = 0
            picture = contour(picture, example["target"] == 1, (0, 255, 0))
            pictures.append(contour(picture, found, (255, 0, 0)))
        return tiles(pictures, columns=8)

    def _examples(self, held_out: Sequence[Picture], count: int) -> list[Sample]:
        rng = np.random.default_rng(0)
        chosen = [picture for picture in in_turn(held_out, self.shares, count) if picture.has_large_object]
        chosen = chosen or in_turn(list(filter(self.suits, held_out)), self.shares, count)
        return [self.sample(lambda _rng, only=picture: only, rng) for picture in chosen]


def logits(network: nn.Module, rgb: Tensor, maps: Tensor) -> Tensor:
    """(N, H, W) for pictures (N, H, W, 3) uint8 and drawn clicks (N, 2, H, W)."""
    assert isinstance(network, LiteClicks)
    pictures = from_rgb(rgb.permute(0, 3, 1, 2).float())
    low = network.low_logits(network.run_to(pictures, maps, "C"), "C")
    return upsample(low, rgb.shape[1:3])[:, 0]


def stroke_maps(scene: Scene, rng: np.random.Generator, with_negative: bool) -> NDArray[np.float32]:
    """Strokes on the object and, if wanted, on other objects or on the background: (2, S, S) in [0, 1]."""
    size_hw = scene.target.shape
    positive = draw_strokes(scene.target == 1, rng)
    negative = []
    if with_negative:
        elsewhere = cv2.erode((scene.target == 0).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        if (scene.others & elsewhere).any() and rng.random() < 0.6:
            negative = draw_strokes((scene.others & elsewhere) > 0, rng)
        elif elsewhere.any():
            negative = list(points_inside(elsewhere, int(rng.integers(1, 4)), rng)[:, None])
    return np.stack([rasterise(paths, size_hw, DISC_RADIUS_PX) for paths in (positive, negative)])


def click_on_errors(maps: Tensor, predicted: Tensor, target: Tensor) -> Tensor:
    """Add a click in the middle of each prediction's largest error: (N, 2, H, W) with one disc more."""
    clicked = maps.clone()
    for sample, (found, truth) in enumerate(zip(predicted.detach().numpy() > 0, target.numpy(), strict=True)):
        depths = [_depth((truth == 1) & ~found), _depth((truth == 0) & found)]
        sign = int(depths[1].max() > depths[0].max())
        if depths[sign].max() < 2:
            continue
        row, column = np.unravel_index(int(depths[sign].argmax()), truth.shape)
        disc = cv2.circle(np.zeros(truth.shape, np.uint8), (int(column), int(row)), DISC_RADIUS_PX, 1, -1)
        clicked[sample, sign] = torch.maximum(clicked[sample, sign], torch.from_numpy(disc).float())
    return clicked


def _depth(error: NDArray[np.bool_]) -> NDArray[np.float32]:
    return cv2.distanceTransform(np.pad(error, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]


RECIPE: Recipe = FbrsLite()
