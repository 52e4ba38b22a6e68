"""One object in one picture, click by click."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.engines.segmenters.fbrs.brs import (
    OFFICIAL_RULES,
    FullObjective,
    Objective,
    Optimum,
    StopRules,
    Variables,
    full_logits,
    minimise,
)
from stages.engines.segmenters.fbrs.clicks import Click, click_squares, mirrored, points_tensor
from stages.engines.segmenters.fbrs.network import ClickNetwork, Features, Insertion, resize
from stages.engines.segmenters.fbrs.windows import WindowObjective, windows_pay_off
from stages.engines.segmenters.fbrs.zoom import OFFICIAL_ZOOM, Roi, ZoomIn, ZoomSettings, clicks_in_crop, crop

Mode = Literal["NoBRS", "f-BRS-A", "f-BRS-B", "f-BRS-C"]
MODES: tuple[Mode, ...] = ("NoBRS", "f-BRS-A", "f-BRS-B", "f-BRS-C")
INSERTIONS: dict[str, Insertion] = {"f-BRS-A": "A", "f-BRS-B": "B", "f-BRS-C": "C"}

NET_CLICKS_LIMIT = 8
"""Clicks beyond these act through the optimisation only."""
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def normalise(frame: NDArray[np.uint8]) -> Tensor:
    """(H, W, 3) uint8 RGB -> (1, 3, H, W) float32, with mean and spread of ImageNet."""
    pixels = torch.tensor(np.ascontiguousarray(frame)).permute(2, 0, 1).float() / 255
    return ((pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)).unsqueeze(0)


class Predictor:
    """Probabilities of one object from a growing list of clicks.

    Between calls it keeps the crop, the previous prediction, the features in front of the insertion point, and the
    optimised variables, from which the next click's optimisation starts.
    """

    optimum: Optimum | None = None
    """The last call's optimisation, if there was one."""

    def __init__(
        self,
        network: nn.Module,
        frame: NDArray[np.uint8],
        mode: Mode = "f-BRS-B",
        *,
        exact: bool = False,
        repair: bool = False,
        flip: bool = True,
        zoom: ZoomSettings | None = OFFICIAL_ZOOM,
        rules: StopRules = OFFICIAL_RULES,
        net_clicks_limit: int | None = NET_CLICKS_LIMIT,
        longest_side_px: int | None = None,
    ) -> None:
        """Begin with no click.

        Args:
            network: a `ClickNetwork` in eval mode; for NoBRS any module with its `forward`.
            frame: (H, W, 3) uint8 RGB.
            mode: NoBRS runs the network only; the others optimise at their insertion point.
            exact: evaluate the objective on the whole picture, as published, instead of around the clicks.
            repair: mend two faults of the original that concern clicks outside the crop (`clicks.click_square`) and
                objects that vanish (`zoom.ZoomIn`).
            flip: average the logits of the picture and its mirror image.
            zoom: None = always the whole picture.
            rules: when the optimisation stops.
            net_clicks_limit: so many first clicks are drawn for the network (NoBRS: all); None = all.
            longest_side_px: larger pictures are shrunk to this before the network sees them; None = never.
        """
        self._network = network
        self._at = INSERTIONS.get(mode)
        self._exact, self._repair, self._flip, self._rules = exact, repair, flip, rules
        self._net_clicks_limit = None if mode == "NoBRS" else net_clicks_limit
        self._longest_side_px = longest_side_px
        device = next(network.parameters(), torch.empty(0)).device
        self._image = normalise(frame).to(device)
        self._zoom = None if zoom is None else ZoomIn(zoom, repair)
        self._features: Features | None = None
        self._x: Variables = np.zeros(0)

    @property
    def roi(self) -> Roi | None:
        """The crop that the network looks at; None = the whole picture."""
        return self._zoom.roi if self._zoom else None

    @torch.no_grad()
    def predict(self, clicks: list[Click], optimise: bool = True) -> NDArray[np.float32]:
        """Segment the object.

        Args:
            clicks: all so far, in the order in which they were made; pixels of the frame.
            optimise: whether the clicks may be enforced; the first click never is.

        Returns:
            (H, W) float32 in [0, 1]; zero outside the crop.
        """
        image, seen_clicks, changed = self._image, clicks, False
        if self._zoom:
            image, seen_clicks = self._zoom.forward(image, clicks)
            changed = self._zoom.changed
        seen_hw = _size_hw(image)
        image, seen_clicks = self._shrink(image, seen_clicks)

        probability = torch.sigmoid(self._logits(image, seen_clicks, changed, optimise))
        probability = probability if _size_hw(probability) == seen_hw else resize(probability, seen_hw)
        if self._zoom:
            probability = self._zoom.inverse(probability, _size_hw(self._image))
            if self._zoom.wants_rerun():
                return self.predict(clicks, optimise)
        result: NDArray[np.float32] = probability[0, 0].cpu().numpy()
        return result

    def _shrink(self, image: Tensor, clicks: list[Click]) -> tuple[Tensor, list[Click]]:
        height, width = _size_hw(image)
        if self._longest_side_px is None or max(height, width) <= self._longest_side_px:
            return image, clicks
        whole = Roi(0, height - 1, 0, width - 1)
        small = crop(image, whole, self._longest_side_px)
        return small, clicks_in_crop(clicks, whole, _size_hw(small))

    def _logits(self, image: Tensor, clicks: list[Click], changed: bool, optimise: bool) -> Tensor:
        """(1, 1, h, w): the mean of both flips' logits (not of their probabilities)."""
        if not self._flip:
            return self._batch_logits(image, [clicks], changed, optimise)
        both = torch.cat([image, image.flip(3)])
        straight, flipped = self._batch_logits(
            both, [clicks, mirrored(clicks, image.shape[3])], changed, optimise
        ).chunk(2)
        return 0.5 * (straight + flipped.flip(3))

    def _batch_logits(self, images: Tensor, click_lists: list[list[Click]], changed: bool, optimise: bool) -> Tensor:
        self.optimum = None
        points = points_tensor(click_lists, self._net_clicks_limit).to(images.device)
        if self._at is None:
            logits: Tensor = self._network(images, points)
            return logits

        network, count, limit = self._network, len(click_lists[0]), self._net_clicks_limit
        assert isinstance(network, ClickNetwork)
        if self._features is None or changed or limit is None or count <= limit:
            self._features = network.features(images, points, self._at)
        channels = self._features[0].shape[1]
        if self._x.size != 2 * channels:
            self._x = np.zeros(2 * channels)
        if count <= 1 or not optimise:
            variables = torch.from_numpy(self._x).to(self._features[0])
            return full_logits(network, self._at, self._features, variables, _size_hw(images))
        self.optimum = minimise(self._objective(network, self._at, images, click_lists), self._x, self._rules)
        self._x = self.optimum.x
        return self.optimum.logits

    def _objective(
        self, network: ClickNetwork, at: Insertion, images: Tensor, click_lists: list[list[Click]]
    ) -> Objective:
        assert self._features is not None
        size_hw = _size_hw(images)
        squares = [click_squares(clicks, size_hw, clip=self._repair) for clicks in click_lists]
        if not self._exact and windows_pay_off(network, at, self._features, squares):
            return WindowObjective(network, at, self._features, squares, size_hw)
        return FullObjective(network, at, self._features, squares, size_hw)


def _size_hw(images: Tensor) -> tuple[int, int]:
    height, width = images.shape[-2:]
    return height, width
