"""PointRend: masks that are predicted point by point, where they are uncertain.

A. Kirillov, Y. Wu, K. He, R. Girshick, "PointRend: Image Segmentation as Rendering", CVPR 2020; as its authors wrote it
for detectron2, whose names the parameters have.

    p2, box ─ 14x14 points ─ CoarseHead ─ 7x7 mask ─┐                   ┌──────────── twice as large ───────────┐
        └── features at points of the box ──────────┴─ PointHead ─ 28x28 ─ least certain points ─ PointHead ─ 224x224
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.engines.refiners.pointrend.points import (
    regular_grid,
    sample,
    sample_in_boxes,
    subdivided,
    uncertainty_between_classes,
    uncertainty_of_class,
)
from stages.nn.normed import NormedConv2d

FEATURES: Final = 256
"""Channels of p2 and its siblings."""
P2_SCALE: Final = 1 / 4
_COARSE_POINTS: Final = 14
"""A box is looked at in so many times as many points for its coarse mask."""
_COARSE_SIDE: Final = 7
POINTS: Final = 28 * 28
"""Of a box, predicted at once."""
_STEPS: Final = 5
"""Doublings of the coarse mask's side; those that do not leave more pixels than points are done as one."""
_IMPLICIT_WIDTH: Final = 256
_IMPLICIT_LAYERS: Final = 4


class PointHead(nn.Module):
    """Logits of single points, from features and coarse logits there (detectron2: `StandardPointHead`)."""

    def __init__(
        self, features: int, classes: int, *, coarse_at_each_layer: bool = True, class_agnostic: bool = False
    ) -> None:
        """Build it.

        Args:
            features: channels of the features.
            classes: channels of the coarse logits.
            coarse_at_each_layer: whether every layer is given the coarse logits again, or the first alone.
            class_agnostic: whether one logit comes out, or one of each class.
        """
        super().__init__()
        self._at_each_layer = coarse_at_each_layer
        hidden = 256 + (classes if coarse_at_each_layer else 0)
        self.fc1 = nn.Conv1d(features + classes, 256, 1)
        self.fc2 = nn.Conv1d(hidden, 256, 1)
        self.fc3 = nn.Conv1d(hidden, 256, 1)
        self.predictor = nn.Conv1d(hidden, 1 if class_agnostic else classes, 1)

    def forward(self, features: Tensor, coarse: Tensor) -> Tensor:
        """(R, features, P) and (R, classes, P) -> logits (R, classes or 1, P)."""
        x = torch.cat([features, coarse], 1)
        for layer in (self.fc1, self.fc2, self.fc3):
            x = functional.relu(layer(x))
            if self._at_each_layer:
                x = torch.cat([x, coarse], 1)
        logits: Tensor = self.predictor(x)
        return logits


class CoarseHead(nn.Module):
    """A small map, or a list of numbers, from what a box shows (detectron2: `ConvFCHead`)."""

    def __init__(self, features: int, output: tuple[int, ...]) -> None:
        """Build it.

        Args:
            features: channels of what the box shows; more than 256 are reduced first.
            output: shape of what comes out of one box.
        """
        super().__init__()
        self._output = output
        if features > FEATURES:
            self.reduce_channel_dim_conv = nn.Conv2d(features, FEATURES, 1)
        self.reduce_spatial_dim_conv = nn.Conv2d(min(features, FEATURES), FEATURES, 2, stride=2)
        self.fc1 = nn.Linear(FEATURES * (_COARSE_POINTS // 2) ** 2, 1024)
        self.fc2 = nn.Linear(1024, 1024)
        self.prediction = nn.Linear(1024, math.prod(output))

    def forward(self, x: Tensor) -> Tensor:
        """(R, features, 14, 14) -> (R, *output)."""
        if hasattr(self, "reduce_channel_dim_conv"):
            x = functional.relu(self.reduce_channel_dim_conv(x))
        x = functional.relu(self.reduce_spatial_dim_conv(x)).flatten(1)
        x = functional.relu(self.fc2(functional.relu(self.fc1(x))))
        found: Tensor = self.prediction(x)
        return found.view(-1, *self._output)


class ImplicitPointHead(nn.Module):
    """Logits of single points from features and places, by weights that each box brings along."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        width = _IMPLICIT_WIDTH
        self.register_buffer("positional_encoding_gaussian_matrix", torch.zeros(2, width // 2))
        inputs = [features + width, *[width] * (_IMPLICIT_LAYERS - 1)]
        outputs = [*[width] * (_IMPLICIT_LAYERS - 1), classes]
        self._weights = list(zip(outputs, inputs, strict=True))
        self.number_of_parameters = sum(rows * (columns + 1) for rows, columns in self._weights)

    def forward(self, features: Tensor, points: Tensor, parameters: Tensor) -> Tensor:
        """Predict.

        Args:
            features: (R, features, P).
            points: (R, P, 2), from edge to edge of a box.
            parameters: (R, number_of_parameters): all weights (out, in), then all biases, layer by layer.

        Returns:
            Logits (R, classes, P).
        """
        angles = 2 * math.pi * ((2 * points - 1) @ self.positional_encoding_gaussian_matrix)
        x = torch.cat([angles.sin(), angles.cos(), features.transpose(1, 2)], dim=2)
        sizes = [rows * columns for rows, columns in self._weights] + [rows for rows, _ in self._weights]
        parts = torch.split(parameters, sizes, dim=1)
        weights, biases = parts[: len(self._weights)], parts[len(self._weights) :]
        for number, (weight, bias, shape) in enumerate(zip(weights, biases, self._weights, strict=True)):
            x = torch.baddbmm(bias[:, None], x, weight.view(-1, *shape).transpose(1, 2))
            if number < len(self._weights) - 1:
                x = functional.relu(x)
        return x.transpose(1, 2)


class MaskHead(nn.Module):
    """Masks of boxes (detectron2: `PointRendMaskHead`). Key prefix: `roi_heads.mask_head`."""

    def __init__(self, classes: int, *, class_agnostic: bool = False) -> None:
        super().__init__()
        self.coarse_head = CoarseHead(FEATURES, (classes, _COARSE_SIDE, _COARSE_SIDE))
        self.point_head = PointHead(FEATURES, classes, class_agnostic=class_agnostic)

    def coarse(self, p2: Tensor, boxes: Tensor) -> Tensor:
        """Logits (R, classes, 7, 7); see `forward`."""
        return self.coarse_head(seen_in_boxes(p2, boxes))

    def first(self, p2: Tensor, boxes: Tensor, coarse: Tensor) -> Tensor:
        """Logits (R, classes, 28, 28), every point predicted; `coarse` is what the method of that name gave."""
        side, _ = subdivision(_COARSE_SIDE, _STEPS, POINTS)
        points = regular_grid(len(boxes), side, boxes.device)
        return self.predict(p2, boxes, coarse, points).reshape(len(boxes), -1, side, side)

    def finished(self, p2: Tensor, boxes: Tensor, coarse: Tensor, first: Tensor, classes: Tensor) -> Tensor:
        """Logits (R, classes, 224, 224), exact for the given classes; the others are what they are at their points."""
        _, steps = subdivision(_COARSE_SIDE, _STEPS, POINTS)
        predict = partial(self.predict, p2, boxes, coarse)
        return subdivided(first, steps, POINTS, partial(uncertainty_of_class, classes=classes), predict)

    def predict(self, p2: Tensor, boxes: Tensor, coarse: Tensor, points: Tensor) -> Tensor:
        """Logits (R, classes or 1, P) of points (R, P, 2) of boxes."""
        features = sample_in_boxes([p2], [P2_SCALE], points, boxes)
        return self.point_head(features, sample(coarse, points))

    def forward(self, p2: Tensor, boxes: Tensor, classes: Tensor) -> Tensor:
        """Predict the masks of boxes.

        Args:
            p2: (1, 256, h, w), at a quarter of the picture's size.
            boxes: (R, 4), left, top, right and bottom in pixels of the picture.
            classes: (R,), of what is in each box.

        Returns:
            Logits (R, classes or 1, 224, 224), from edge to edge of a box.
        """
        coarse = self.coarse(p2, boxes)
        return self.finished(p2, boxes, coarse, self.first(p2, boxes, coarse), classes)


class ImplicitMaskHead(nn.Module):
    """The same, whose boxes bring weights in place of coarse masks (detectron2: `ImplicitPointRendMaskHead`)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.point_head = ImplicitPointHead(FEATURES, classes)
        self.parameter_head = CoarseHead(FEATURES, (self.point_head.number_of_parameters,))

    def forward(self, p2: Tensor, boxes: Tensor, classes: Tensor) -> Tensor:
        """See `MaskHead.forward`."""
        parameters = self.parameter_head(seen_in_boxes(p2, boxes))

        def predict(points: Tensor) -> Tensor:
            features = sample_in_boxes([p2], [P2_SCALE], points, boxes)
            return self.point_head(features, points, parameters)

        side, steps = subdivision(math.isqrt(POINTS), _STEPS - 2, POINTS)
        first = predict(regular_grid(len(boxes), side, boxes.device)).reshape(len(boxes), -1, side, side)
        return subdivided(first, steps, POINTS, partial(uncertainty_of_class, classes=classes), predict)


class SemanticHead(nn.Module):
    """One label for every pixel (detectron2: `PointRendSemSegHead`). Key prefix: `sem_seg_head`."""

    def __init__(self, classes: int, *, steps: int = 2, points: int = 8192) -> None:
        super().__init__()
        self._steps, self._points = steps, points
        self.coarse_sem_seg_head = PyramidHead(classes)
        self.point_head = PointHead(FEATURES, classes, coarse_at_each_layer=False)

    def forward(self, pyramid: Mapping[str, Tensor]) -> Tensor:
        """Logits (N, classes, H, W) at the picture's size, from `p2` to `p5`, (N, 256, h, w) each."""
        return self.finished(self.coarse_sem_seg_head(pyramid), pyramid["p2"])

    def finished(self, coarse: Tensor, p2: Tensor) -> Tensor:
        """The same from logits (N, classes, h, w) at stride 4, and p2."""

        def predict(points: Tensor) -> Tensor:
            return self.point_head(sample(p2, points), sample(coarse, points))

        return subdivided(coarse, self._steps, self._points, uncertainty_between_classes, predict)


class PyramidHead(nn.Module):
    """Coarse labels from four levels that are brought to one size, and added (detectron2: `SemSegFPNHead`)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.p2 = nn.Sequential(_normed_by_groups(FEATURES))
        self.p3 = _grown(1)
        self.p4 = _grown(2)
        self.p5 = _grown(3)
        self.predictor = nn.Conv2d(128, classes, 1)

    def forward(self, pyramid: Mapping[str, Tensor]) -> Tensor:
        """`p2` to `p5`, (N, 256, h, w) and so on -> logits (N, classes, h, w)."""
        x = self.p2(pyramid["p2"]) + self.p3(pyramid["p3"]) + self.p4(pyramid["p4"]) + self.p5(pyramid["p5"])
        logits: Tensor = self.predictor(x)
        return logits


def seen_in_boxes(p2: Tensor, boxes: Tensor) -> Tensor:
    """What boxes (R, 4) show, on a grid: (R, 256, 14, 14)."""
    grid = regular_grid(len(boxes), _COARSE_POINTS, boxes.device)
    return sample_in_boxes([p2], [P2_SCALE], grid, boxes).reshape(len(boxes), -1, _COARSE_POINTS, _COARSE_POINTS)


def subdivision(side: int, steps: int, points: int) -> tuple[int, int]:
    """Side of the first mask, and steps left: while all of the next one would be predicted, it is the first."""
    while 4 * side**2 <= points:
        side, steps = 2 * side, steps - 1
    return side, steps


def _grown(times: int) -> nn.Sequential:
    """Convolutions, the map twice as large behind each."""
    layers: list[nn.Module] = []
    for number in range(times):
        layers += [
            _normed_by_groups(FEATURES if number == 0 else 128),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        ]
    return nn.Sequential(*layers)


def _normed_by_groups(inputs: int) -> NormedConv2d:
    return NormedConv2d(inputs, 128, 3, padding=1, norm=nn.GroupNorm(32, 128), rectified=True)
