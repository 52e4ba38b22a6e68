"""How `match_lite` is trained: triples (anchor, frame, anchor) made from single pictures, and flow that is simulated.

The trunk stays as ImageNet left it, and what is read from the anchors needs no gradient: only the decoder learns, how
the fusion of matching and flow errs, and what contours look like. Anchors are as imperfect as those of the pipeline;
the target is the true mask, so that the decoder learns to correct them, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from stages.core.boxes import Box
from stages.core.palette import IGNORE
from stages.engines.propagators.match.network import Evidence, Features, MatchLite, fuse, gather, look_up, memory
from stages.engines.propagators.match.prior import Carried, join, no_flow
from stages.nn.lite import Lite, from_published, upsample
from stages.nn.prepare import for_inference
from stages.training.imperfect import imperfect_mask
from stages.training.losses import ious, soft_iou_loss
from stages.training.pictures import Drawing, Picture, examples
from stages.training.recipe import Batch, Draw, Recipe, Sample, Schedule
from stages.training.scenes import draw_object, drawn, motion_kernel, nearest_known, with_band
from stages.training.sheets import contour, tiles
from stages.training.strokes import disc

SIDE_PX: Final = 256
_LEAST_VISIBLE_PX: Final = 400
_LEAST_OBJECT_PX, _LARGEST_SHARE = 300, 0.5
"""Pixels of an object in its picture, and how much of that it may take: something must be left to move before."""
_ONE_SIDED: Final = 0.15
_WITHOUT_FLOW: Final = 0.15
_IMPERFECT: Final = 0.55
_HARDEST: Final = 0.25
_VALIDATION_TRIPLES: Final = 64
_VALIDATION_SEED: Final = 7
_SHEET_TRIPLES: Final = 18
_GREY: Final = (127, 127, 127)

Rgb = NDArray[np.uint8]
Mask = NDArray[np.uint8]
"""1 object, 0 background, 255 unknown."""
Soft = NDArray[np.float32]


class MatchRecipe:
    """The `Recipe`."""

    notes = """
`{engine}` carries masks to the frames between two anchors. Only its decoder of 0.4 million parameters was trained;
the trunk is EfficientNet-Lite0 up to stride 16 as ImageNet left it.

Limits: it has never seen a video, only motion that was made from pictures. Thin lines are lost; a match is sought
within 14 cells of 8 pixels of a view of at most 384 pixels, so that what moves farther is carried by flow alone.
"""
    schedule = Schedule(
        steps=600, batch=8, learning_rate=1e-3, trunk_rate=0, warm_up=50, averaging=0.99, validate_every=200
    )
    shares: Mapping[str, float] = {"coco_open": 0.25, "coco_nc": 0.45, "ccp_person": 0.3}
    engines: Sequence[str] = ()
    on_gpu = False
    wanted = "an object that has some contour and takes less than half of the picture"

    def suits(self, picture: Picture) -> bool:
        """See `Recipe`."""
        return bool(picture.objects(2 * _LEAST_OBJECT_PX, _LARGEST_SHARE))

    def build(self, trunk: Mapping[str, Tensor]) -> nn.Module:
        """See `Recipe`."""
        network = MatchLite()
        network.trunk.load_state_dict(from_published(trunk, network.trunk))
        for_inference(network.trunk)  # frozen
        return network

    def trunk(self, network: nn.Module) -> Lite:
        """See `Recipe`."""
        assert isinstance(network, MatchLite)
        return network.trunk

    def sample(self, pictures: Draw, rng: np.random.Generator) -> Sample:
        """One triple.

        `pictures` (3, 256, 256, 3) uint8 RGB: anchor, frame, anchor; `anchors` (2, 256, 256) their soft masks; `target`
        (256, 256) uint8 the frame's: 1, 0, or 255 unknown; `sides` (2,) bool: which anchors there are; and of the
        flow, as in `JoinedFlow`, `priors` (2, 256, 256), `flow`, `trust` (1, 256, 256), `position` ().
        """
        return draw_triple(pictures, rng)

    def losses(self, network: nn.Module, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Cross-entropy of the hardest pixels, all of them at first and a quarter from half-time on, and IoU."""
        assert isinstance(network, MatchLite)
        logits = network(*evidence(network, batch))[:, 0]
        target = batch["target"]
        known = target != IGNORE
        entropy = functional.binary_cross_entropy_with_logits(logits, (target == 1).float(), reduction="none")[known]
        hardest = max(_HARDEST, 1 - 2 * (1 - _HARDEST) * progress)
        return {
            "entropy": entropy.topk(int(hardest * entropy.numel()), sorted=False).values.mean(),
            "iou": soft_iou_loss(logits, target),
        }

    def validate(self, network: nn.Module, held_out: Sequence[Picture]) -> dict[str, float]:
        """On fixed triples: how much better the masks are than those of the untrained fusion (mean J), and both."""
        assert isinstance(network, MatchLite)
        found, base = [], []
        for batch in self._batches(held_out, _VALIDATION_TRIPLES):
            features, known = evidence(network, batch)
            found += ious(network(features, known)[:, 0] > 0, batch["target"])
            base += ious(_untrained(known), batch["target"])
        better, plain = float(np.mean(found)), float(np.mean(base))
        return {"gain": better - plain, "iou": better, "base_iou": plain}

    def sheet(self, network: nn.Module, held_out: Sequence[Picture]) -> NDArray[np.uint8]:
        """Held-out triples, the frame between its anchors: truth green, untrained fusion blue, result red."""
        assert isinstance(network, MatchLite)
        pictures = []
        for batch in self._batches(held_out, _SHEET_TRIPLES):
            features, known = evidence(network, batch)
            results = zip((network(features, known)[:, 0] > 0).numpy(), _untrained(known).numpy(), strict=True)
            for index, (mask, base) in enumerate(results):
                before, frame, after = batch["pictures"][index].numpy()
                one, other = batch["anchors"][index].numpy() > 0.5
                frame = contour(frame, batch["target"][index].numpy() == 1, (0, 255, 0))
                frame = contour(contour(frame, base, (0, 0, 255)), mask, (255, 0, 0))
                pictures.append(
                    np.hstack([contour(before, one, (0, 255, 0)), frame, contour(after, other, (0, 255, 0))])
                )
        return tiles(pictures, columns=3)

    def _batches(self, held_out: Sequence[Picture], count: int) -> list[Batch]:
        """Always the same."""
        draw, size = Drawing(held_out, self.shares), self.schedule.batch
        count = examples(held_out, count)
        samples = [self.sample(draw, np.random.default_rng([_VALIDATION_SEED, number])) for number in range(count)]
        return [
            {
                name: torch.from_numpy(np.stack([each[name] for each in samples[start : start + size]]))
                for name in samples[0]
            }
            for start in range(0, count, size)
        ]


RECIPE: Recipe = MatchRecipe()


@torch.no_grad()
def evidence(network: MatchLite, batch: Batch) -> tuple[Features, Evidence]:
    """What the engine would know of the frames of a batch."""
    count = len(batch["pictures"])
    pictures = batch["pictures"].transpose(0, 1).flatten(0, 1).permute(0, 3, 1, 2).float()
    features = network.features(pictures)
    parts = []
    for index in range(count):
        here = [
            memory(features.key[place * count + index], mask[None].float())
            for place, mask, is_there in zip((0, 2), batch["anchors"][index], batch["sides"][index], strict=True)
            if is_there
        ]
        readouts, similarity = look_up(features.key[count + index], here)
        priors, flow, trust = (functional.avg_pool2d(batch[name][index], 2) for name in ("priors", "flow", "trust"))
        parts.append(gather(readouts, similarity, priors[None], flow, trust[0], batch["position"][index]))
    middle = Features(*(each[count : 2 * count] for each in features))
    return middle, Evidence(*(torch.cat(each) for each in zip(*parts, strict=True)))


def _untrained(known: Evidence) -> Tensor:
    """The masks (N, 256, 256) bool that the fusion gives without the decoder."""
    return upsample(fuse(known), (SIDE_PX, SIDE_PX))[:, 0] > 0.5


# ------------------------------------------------------------------------------------------------------- triples


def draw_triple(draw: Draw, rng: np.random.Generator) -> Sample:
    """Make a triple; see `MatchRecipe.sample`."""
    layers, target_layer, times, frames = drawn(
        lambda: _moving_scene(draw, rng),
        lambda made: all(np.count_nonzero(mask == 1) >= _LEAST_VISIBLE_PX for _, mask in made[-1]),
        "an object of some size",
    )
    position = times[1]
    light = _Light(rng)
    pictures = [light.at(time, rgb) for time, (rgb, _) in zip(times, frames, strict=True)]
    truths = [mask for _, mask in frames]
    sides = np.array([True, True])
    if rng.random() < _ONE_SIDED:
        sides[rng.integers(2)] = False
    whole = layers[target_layer].at(position)[1]  # flow does not know what has come in front
    followed = whole if rng.random() < 0.5 else truths[1]
    carried = [
        _simulated_flow(nearest_known(followed).astype(np.float32), distance, rng) if is_there else None
        for distance, is_there in zip((position, 1 - position), sides, strict=True)
    ]
    flow = None if rng.random() < _WITHOUT_FLOW else join(carried[0], carried[1], position)
    flow = flow or no_flow(1, (SIDE_PX, SIDE_PX))
    return {
        "pictures": np.stack(pictures),
        "anchors": np.stack([_anchor(truths[place], pictures[place], rng) for place in (0, 2)]),
        "target": truths[1],
        "sides": sides,
        "priors": flow.priors[0].astype(np.float32),
        "flow": flow.flow.astype(np.float32),
        "trust": flow.trust[None].astype(np.float32),
        "position": np.float32(flow.position),
    }


@dataclass(frozen=True)
class _Pose:
    """How a layer lies: all numbers can be interpolated."""

    values: NDArray[np.float64]
    """Rotation (radians), logarithm of the scale, shear, and shift x, y in crop pixels."""
    field: Soft
    """(4, 4, 2) crop pixels: displacements of a coarse grid."""

    @classmethod
    def drawn(cls, rng: np.random.Generator, strength: float) -> "_Pose":
        deviation = np.array([np.deg2rad(7), 0.07, 0.06, 0.09 * SIDE_PX, 0.09 * SIDE_PX])
        field = rng.normal(0, 0.018 * SIDE_PX * strength, (4, 4, 2)).astype(np.float32)
        return cls(rng.normal(0, deviation * strength), field)

    def blended(self, other: "_Pose", bend: "_Pose", time: float) -> "_Pose":
        """From this pose to another, by a detour."""
        shares = 1 - time, time, 2 * time * (1 - time)
        poses = self, other, bend
        return _Pose(
            sum((share * pose.values for share, pose in zip(shares, poses, strict=True)), np.zeros(5)),
            sum((np.float32(share) * pose.field for share, pose in zip(shares, poses, strict=True)), np.float32(0)),  # type: ignore[arg-type]
        )


class _Layer:
    """A picture, or an object cut out of it, that moves."""

    def __init__(
        self, rgb: Rgb, mask: Mask, centre_xy: Any, scale: float, place_xy: Any, rng: np.random.Generator, cut_out: bool
    ) -> None:
        """`scale`: picture pixels in a crop pixel; `centre_xy` of the picture comes to `place_xy` of the crop."""
        if scale > 1.5:
            rgb = cv2.GaussianBlur(rgb, (0, 0), 0.4 * scale)
        self._rgb, self._mask, self.cut_out = rgb, mask, cut_out
        self._centre, self._scale, self._place = np.asarray(centre_xy), scale, np.asarray(place_xy)
        strength = float(rng.choice([0.4, 1.0, 1.6]))
        self._first, self._last, self._bend = (_Pose.drawn(rng, strength) for _ in range(3))

    def at(self, time: float) -> tuple[Rgb, Mask]:
        """Its picture (256, 256, 3), grey beyond its border, and its mask there."""
        pose = self._first.blended(self._last, self._bend, time)
        turn, log_scale, shear, *shift = pose.values
        cos, sin = np.cos(turn), np.sin(turn)
        linear = (
            np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, shear], [0, 1]]) * (self._scale * np.exp(log_scale))
        )
        y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
        field = cv2.resize(pose.field, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
        from_xy = (np.dstack([x, y]) - self._place - shift + field) @ linear.T + self._centre
        from_xy = from_xy.astype(np.float32)
        rgb = cv2.remap(self._rgb, from_xy, None, cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT, _GREY)
        mask = cv2.remap(self._mask, from_xy, None, cv2.INTER_NEAREST, None, cv2.BORDER_CONSTANT, 0)
        return rgb, mask


def _moving_scene(
    draw: Draw, rng: np.random.Generator
) -> tuple[list[_Layer], int, tuple[float, float, float], list[tuple[Rgb, Mask]]]:
    """A scene, and what is to be seen of it at three times."""
    layers, target_layer = _scene(draw, rng)
    times = (0.0, float(rng.uniform(0.08, 0.92)), 1.0)
    return layers, target_layer, times, [_compose(layers, target_layer, time) for time in times]


def _scene(draw: Draw, rng: np.random.Generator) -> tuple[list[_Layer], int]:
    """Layers from back to front, and which of them holds the object."""
    picture, mask = _fitting_object(draw, rng)
    cut_out = rng.random() < 0.6
    centre, longer = _extent(mask)
    scale = longer / (SIDE_PX * rng.uniform(0.4, 0.75))
    middle = SIDE_PX / 2 + rng.uniform(-0.1, 0.1, 2) * SIDE_PX
    target = _Layer(picture.rgb, mask, centre, scale, middle, rng, cut_out)
    layers = [target]
    if cut_out:
        behind = draw(rng)
        height, width = behind.labels.shape
        wide = min(height, width) / SIDE_PX * rng.uniform(0.6, 1.0)
        unused = np.zeros_like(behind.labels)
        layers.insert(0, _Layer(behind.rgb, unused, (width / 2, height / 2), wide, (SIDE_PX / 2,) * 2, rng, False))
    place = len(layers) - 1
    if rng.random() < 0.35:
        other, other_mask = _fitting_object(draw, rng)
        other_centre, other_longer = _extent(other_mask)
        size = other_longer / (SIDE_PX * rng.uniform(0.15, 0.5))
        beside = rng.uniform(0.15, 0.85, 2) * SIDE_PX
        layer = _Layer(other.rgb, other_mask, other_centre, size, beside, rng, True)
        # In front of everything, or behind the object, where that is cut out.
        in_front = rng.random() < 0.6 or not cut_out
        layers.insert(len(layers) if in_front else place, layer)
        place += not in_front
    return layers, place


def _fitting_object(draw: Draw, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """An object of at most half the picture; cut out, it leaves behind what may not belong to it."""
    return drawn(
        lambda: draw_object(lambda rng: with_band(draw(rng)), rng),
        lambda one: _LEAST_OBJECT_PX <= np.count_nonzero(one[1] == 1) <= _LARGEST_SHARE * one[1].size,
        MatchRecipe.wanted,
    )


def _extent(mask: Mask) -> tuple[tuple[float, float], int]:
    """Centre and longer side of an object's box."""
    box = Box.around(mask == 1)
    return ((box.left + box.right) / 2, (box.top + box.bottom) / 2), max(box.size_wh)


def _compose(layers: Sequence[_Layer], target_layer: int, time: float) -> tuple[Rgb, Mask]:
    """The picture at a time, and what of the object is to be seen."""
    picture, target = layers[0].at(time)
    if target_layer:
        target = np.zeros_like(target)
    for number, layer in enumerate(layers[1:], 1):
        rgb, mask = layer.at(time)
        inside = mask == 1
        alpha = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 0.8)[..., None]
        picture = (alpha * rgb + (1 - alpha) * picture).astype(np.uint8)
        target = inside.astype(np.uint8) if number == target_layer else np.where(inside, 0, target).astype(np.uint8)
    return picture, target


class _Light:
    """Brightness, contrast and colour that drift; blur and noise that come and go."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._gains = np.exp(rng.normal(0, 0.06, (2, 3)))
        self._offsets = rng.normal(0, 6, 2)

    def at(self, time: float, rgb: Rgb) -> Rgb:
        shares = np.array([1 - time, time])
        x = (rgb.astype(np.float32) - 127) * (shares @ self._gains) + 127 + shares @ self._offsets
        if self._rng.random() < 0.2:
            x = cv2.filter2D(x, -1, motion_kernel(self._rng))
        x = x + self._rng.normal(0, 3, x.shape)
        return np.clip(x, 0, 255).astype(np.uint8)


def _anchor(truth: Mask, rgb: Rgb, rng: np.random.Generator) -> Soft:
    """An anchor's mask as a segmenter draws it from strokes, or without error."""
    inside = nearest_known(truth)
    if rng.random() >= _IMPERFECT:
        return inside.astype(np.float32)
    return imperfect_mask(inside, np.zeros_like(inside), rgb, rng).astype(np.float32)


def _simulated_flow(mask: Soft, distance: float, rng: np.random.Generator) -> Carried:
    """A mask as flow might carry it over a share of the stretch: errors grow with the distance, trust knows of some."""
    size = mask.shape
    knots = rng.normal(0, (0.01 + 0.04 * distance) * SIDE_PX * rng.uniform(0.2, 1.5), (6, 6, 2)).astype(np.float32)
    error = cv2.resize(knots, size[::-1], interpolation=cv2.INTER_CUBIC)
    error += rng.normal(0, (0.005 + 0.015 * distance) * SIDE_PX, 2).astype(np.float32)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    carried = cv2.remap(mask, x + error[..., 0], y + error[..., 1], cv2.INTER_LINEAR)
    tolerance_px = np.exp(rng.uniform(np.log(2), np.log(12)))
    trust = np.exp(-(error**2).sum(axis=2) / (2 * tolerance_px**2))
    if rng.random() < 0.4:
        change = cv2.dilate if rng.random() < 0.5 else cv2.erode
        carried = change(carried, disc(int(rng.integers(1, 4))))
    if rng.random() < 0.25:
        wrong = np.zeros(size, np.uint8)
        centre = rng.integers(0, SIDE_PX, 2).tolist()
        cv2.circle(wrong, centre, int(rng.uniform(0.04, 0.15) * SIDE_PX), 1, -1)
        carried = np.where(wrong > 0, np.float32(rng.random() < 0.5), carried)
        trust = np.where(wrong > 0, trust * rng.random(), trust)
    carried = cv2.GaussianBlur(carried, (0, 0), rng.uniform(0.4, 1.5 + 2 * distance))
    trust = cv2.GaussianBlur(trust.astype(np.float32) * rng.uniform(0.6, 1), (0, 0), 2)
    return Carried(carried[None].astype(np.float32), trust)
