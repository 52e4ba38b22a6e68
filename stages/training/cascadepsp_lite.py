"""How `cascadepsp:lite` is trained: a picture and a mask that is not quite right, and the mask that it should be.

Half of the masks are those that the pipeline makes of clips (`chains.py`), if there are any. The others are made from
the truth by what goes wrong there (`imperfect.py`), or by `fbrs:lite`, which is also what the network begins with.

Contours are learnt where they are exact: on people cut out by hand, and on objects pasted before another picture.
Polygons are a few pixels off: a band along them is left out of the loss.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from stages.core.boxes import Box
from stages.core.metrics import boundary_accuracy, region_similarity
from stages.core.palette import IGNORE
from stages.core.soft import HALF, from_uint8
from stages.engines import registry
from stages.engines.refiners.cascadepsp.lite import LiteCascade
from stages.engines.segmenters.fbrs.lite import DISC_RADIUS_PX
from stages.nn.lite import Lite, from_published, from_rgb
from stages.nn.prepare import for_inference
from stages.training.chains import ENGINES, LEAST_IOU, LEAST_OBJECT_PX, draw_example, draw_made
from stages.training.fbrs_lite import logits
from stages.training.imperfect import imperfect_mask
from stages.training.pictures import SMALLEST_SIDE_PX, Picture, by_clip, clips_of, in_turn
from stages.training.recipe import Batch, Draw, Recipe, Sample, Schedule
from stages.training.scenes import (
    BEYOND,
    Scene,
    draw_scene,
    drawn,
    nearest_known,
    photograph,
    seen,
    view,
    warp,
    with_band,
)
from stages.training.sheets import contour, tiles
from stages.training.strokes import draw_strokes, rasterise

SIDE_PX: Final = 192
_OF_CLIPS: Final = 0.5
"""Share of the examples whose masks the pipeline has made of a clip."""
_TAKES: Final = 2
"""How often the pipeline works on every clip, with other strokes on other frames."""
_PASTED: Final = 0.4
_FILL: Final = (0.45, 0.95)
"""Share of the crop that an object takes, as in use: there it is its box and a margin."""
_SEGMENTED: Final = 0.4
"""Share of the masks that `fbrs:lite` makes: its errors are the pipeline's."""
_BEFORE: Final = 2
"""Which of the segmenter's maps is the object's previous mask."""
_PASSES: Final = {1: 0.5, 2: 0.4, 3: 0.1}
"""How often the pass that is trained is the first, or follows one or two others."""


class CascadePSPLite:
    """The `Recipe`."""

    notes = """
`{engine}` sharpens masks: 3.1 million parameters in the place of CascadePSP's 68.

Limits: it sees one frame and its mask. It moves boundaries, cuts leaks and islands off and completes what is nearly
there; what is missing altogether, or a mask on the wrong thing, it mostly leaves as it is. Thin lines get lost.
"""
    schedule = Schedule(steps=720, batch=12, learning_rate=1e-3, warm_up=40, averaging=0.99, validate_every=240)
    shares: Mapping[str, float] = {
        "davis16_train": 0.2,
        "davis17_first_frames": 0.15,
        "ccp_person": 0.25,
        "coco_open": 0.15,
        "coco_nc": 0.25,
    }
    engines: Sequence[str] = ENGINES
    on_gpu = False
    wanted = f"an object of some {LEAST_OBJECT_PX} pixels that is {SMALLEST_SIDE_PX} pixels long"

    def suits(self, picture: Picture) -> bool:
        """See `Recipe`."""
        return bool(picture.objects(LEAST_OBJECT_PX))

    def build(self, trunk: Mapping[str, Tensor]) -> nn.Module:
        """See `Recipe`."""
        network = LiteCascade()
        network.encoder.load_state_dict(from_published(trunk, network.encoder), strict=False)
        begin_as(network, registry.load_network(ENGINES[0], None))
        network.encoder.freeze_early()
        return network

    def trunk(self, network: nn.Module) -> Lite:
        """See `Recipe`."""
        assert isinstance(network, LiteCascade)
        return network.encoder

    def sample(self, pictures: Draw, rng: np.random.Generator) -> Sample:
        """`rgb` (S, S, 3) uint8, `mask` (S, S) float32 in [0, 1], `target` (S, S) uint8: 1, 0, 255 unknown."""
        if (clips := clips_of(pictures)) and rng.random() < _OF_CLIPS:
            return draw_example(clips, of_clip, rng)
        scene = drawn(
            lambda: draw_scene(lambda rng: with_band(pictures(rng)), rng, SIDE_PX, _PASTED, _FILL),
            lambda scene: np.count_nonzero(nearest_known(scene.target)) >= 200,
            "an object of some size",
        )
        truth = nearest_known(scene.target)
        return {"rgb": scene.rgb, "mask": given_mask(scene, truth, rng), "target": scene.target}

    def losses(self, network: nn.Module, batch: Batch, progress: float) -> dict[str, Tensor]:
        """See `Recipe`."""
        assert isinstance(network, LiteCascade)
        rng = np.random.default_rng(int(1e6 * progress))
        passes = int(rng.choice(list(_PASSES), p=list(_PASSES.values()))) if progress > 0.1 else 1
        coarse, middle, fine = cascade(network, batch, passes)
        target = batch["target"][:, None]
        return {
            "coarse": cross_entropy(coarse, target),
            "middle": 0.5 * (cross_entropy(middle, target) + distances(middle, target)),
            "fine": 0.5 * cross_entropy(fine, target) + distances(fine, target),
            "gradient": 2 * gradient_difference(fine, target),
        }

    def validate(self, network: nn.Module, held_out: Sequence[Picture]) -> dict[str, float]:
        """J and F of two passes on fixed examples of held-out pictures and clips, their gain, also of single kinds.

        `clips_`: on the pipeline's own masks of clips; `j_gain_of_good_masks`: where next to nothing was wrong.
        """
        assert isinstance(network, LiteCascade)
        stills = [self._judged(network, each) for each in self._stills(held_out, count=96)]
        clips = [self._judged(network, each) for each in self._of_clips(held_out, count=64)]
        (j_before, f_before), (j, f) = np.mean(stills + clips, axis=0)
        intact = [after[0] - before[0] for before, after in stills + clips if before[0] > 0.97]
        figures = {
            "f_gain": float(f - f_before),
            "j_gain": float(j - j_before),
            "f": float(f),
            "j": float(j),
            "j_gain_of_good_masks": float(np.mean(intact)) if intact else 0.0,
        }
        if clips:
            j_gain, f_gain = np.mean([np.subtract(after, before) for before, after in clips], axis=0)
            figures |= {"clips_f_gain": float(f_gain), "clips_j_gain": float(j_gain)}
        return figures

    def sheet(self, network: nn.Module, held_out: Sequence[Picture]) -> NDArray[np.uint8]:
        """Held-out examples: outlines of the mask as given in yellow, of the truth in green, of the result in red."""
        assert isinstance(network, LiteCascade)
        pictures = []
        for example in [*self._stills(held_out, count=24), *self._of_clips(held_out, count=16)]:
            left = contour(example["rgb"], example["mask"] > 0.5, (255, 255, 0))
            right = contour(example["rgb"], example["target"] == 1, (0, 255, 0))
            pictures += [left, contour(right, self._refined(network, example), (255, 0, 0))]
        return tiles(pictures, columns=8)

    def _judged(self, network: LiteCascade, example: Sample) -> tuple[tuple[float, float], tuple[float, float]]:
        """J and F of the mask as given, and of the refined one."""
        known = example["target"] != IGNORE
        truth = (example["target"] == 1) & known
        given = (example["mask"] > 0.5) & known
        return _scores(given, truth), _scores(self._refined(network, example) & known, truth)

    def _refined(self, network: LiteCascade, example: Sample) -> NDArray[np.bool_]:
        batch = {name: torch.from_numpy(value[None]) for name, value in example.items()}
        refined: NDArray[np.bool_] = cascade(network, batch, passes=2)[-1][0, 0].detach().numpy() > 0
        return refined

    def _stills(self, held_out: Sequence[Picture], count: int) -> list[Sample]:
        rng = np.random.default_rng(0)
        chosen = [picture for picture in held_out if picture.has_large_object] or list(filter(self.suits, held_out))
        return [self.sample(lambda _rng, only=picture: only, rng) for picture in in_turn(chosen, self.shares, count)]

    def _of_clips(self, held_out: Sequence[Picture], count: int) -> list[Sample]:
        rng = np.random.default_rng(0)
        clips = by_clip(held_out)
        made = (of_clip(clips[number % len(clips)], rng) for number in range(count if clips else 0))
        return [example for example in made if example is not None]


@torch.no_grad()
def begin_as(network: LiteCascade, segmenter: nn.Module) -> None:
    """Fill a network with what a segmenter has learnt, wherever they have the same parts, narrower or wider.

    That one has been shown objects by the hundred thousand; to it, too, a mask is where to look.
    """
    state = segmenter.state_dict()
    first = "encoder.maps_stem.0"
    before = state[f"{first}.weight"][:, _BEFORE : _BEFORE + 1]  # of a mask in [0, 1]; here three in [-1, 1] share it
    state[f"{first}.weight"] = before.expand(-1, 3, -1, -1) / 6
    state[f"{first}.bias"] = state[f"{first}.bias"] + before.sum(dim=(1, 2, 3)) / 2
    for name, value in network.state_dict().items():
        if name in state:
            common = tuple(slice(min(sides)) for sides in zip(value.shape, state[name].shape, strict=True))
            value[common] = state[name][common]


def cascade(network: LiteCascade, batch: Batch, passes: int) -> list[Tensor]:
    """Logits (N, 1, S, S) at three strides of the last of one, two or three passes; that pass alone is differentiated.

    The passes that others prepare are computed as in use: in eval mode.
    """
    picture = from_rgb(batch["rgb"].permute(0, 3, 1, 2).float())
    given = 2 * batch["mask"][:, None] - 1
    middle = last = given
    with torch.no_grad():
        early = network.encoder.early(picture)
        was_training = network.training
        network.eval()
        if passes == 3:
            middle = last = torch.tanh(network.correct(picture, early, (given, given, given), finest=8)[0])
        if passes >= 2:
            prepared = network.correct(picture, early, (given, middle, last), finest=4)
            middle, last = torch.tanh(prepared[0]), torch.tanh(prepared[1])
        network.train(was_training)
    return network.correct(picture, early, (given, middle, last))


# ---------------------------------------------------------------------------------------------- examples


def of_clip(frames: Sequence[Picture], rng: np.random.Generator) -> Sample | None:
    """A frame of a clip, seen as in use: around the mask that the pipeline makes of it; None if that is all wrong."""
    if (made := draw_made(frames, rng, _TAKES)) is None:
        return None
    picture, object_id, mask = made
    affine = view(Box.around(mask > HALF), mask.shape, rng, SIDE_PX, _FILL)
    truth = np.where(picture.labels == IGNORE, IGNORE, picture.labels == object_id).astype(np.uint8)
    return {
        "rgb": photograph(seen(picture.rgb, affine, SIDE_PX, BEYOND), rng),
        "mask": from_uint8(seen(mask, affine, SIDE_PX, 0)),
        "target": warp(truth, affine, SIDE_PX, cv2.INTER_NEAREST, IGNORE),
    }


def given_mask(scene: Scene, truth: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    """A mask (S, S) in [0, 1] to be refined: what `fbrs:lite` makes of too few strokes, or the truth with errors."""
    if rng.random() < _SEGMENTED:
        found = segmented(scene.rgb, truth, rng)
        if region_similarity(found > 0.5, truth) >= LEAST_IOU:
            return found
    return imperfect_mask(truth, scene.others > 0, scene.rgb, rng)


@torch.inference_mode()
def segmented(rgb: NDArray[np.uint8], truth: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    """The mask (S, S) in [0, 1] that `fbrs:lite` makes of one or two strokes."""
    strokes = draw_strokes(truth, rng)
    few = [strokes[number] for number in rng.permutation(len(strokes))[: rng.integers(1, 3)]]
    positive = rasterise(few, truth.shape, DISC_RADIUS_PX)
    maps = np.stack([positive, np.zeros_like(positive)])
    found = logits(_segmenter(), torch.from_numpy(rgb[None]), torch.from_numpy(maps[None]))
    mask: NDArray[np.float32] = torch.sigmoid(found)[0].numpy()
    return mask


@cache
def _segmenter() -> nn.Module:
    network = registry.load_network("fbrs:lite", None)
    for_inference(network)
    return network


# ---------------------------------------------------------------------------------------------- validation


def _scores(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[float, float]:
    return region_similarity(found, truth), boundary_accuracy(found, truth, tolerance_px=2)


# ---------------------------------------------------------------------------------------------- losses


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over the known pixels; logits (N, 1, H, W), target 1, 0, 255."""
    losses = functional.binary_cross_entropy_with_logits(logits, (target == 1).to(logits.dtype), reduction="none")
    return _mean(losses, target != IGNORE)


def distances(logits: Tensor, target: Tensor) -> Tensor:
    """Mean of absolute and squared differences over the known pixels, added."""
    difference = torch.sigmoid(logits) - (target == 1).to(logits.dtype)
    return _mean(difference.abs() + difference.square(), target != IGNORE)


def gradient_difference(logits: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the steepness of result and truth, where a pixel and its neighbours are known."""
    known = functional.avg_pool2d((target != IGNORE).to(logits.dtype), 3, stride=1) == 1
    difference = steepness(torch.sigmoid(logits)) - steepness((target == 1).to(logits.dtype))
    return _mean(difference.abs(), known)


def steepness(masks: Tensor) -> Tensor:
    """Length of the gradient, by central differences: (N, 1, H, W) to (N, 1, H - 2, W - 2)."""
    x = masks[..., 1:-1, 2:] - masks[..., 1:-1, :-2]
    y = masks[..., 2:, 1:-1] - masks[..., :-2, 1:-1]
    return 0.5 * (x.square() + y.square() + 1e-6).sqrt()


def _mean(values: Tensor, known: Tensor) -> Tensor:
    return (values * known).sum() / known.sum().clamp(min=1)


RECIPE: Recipe = CascadePSPLite()
