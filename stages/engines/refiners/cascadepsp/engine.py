"""The refiner `cascadepsp`: what of a frame a network sees of an object, and in which steps it refines that."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from stages.core.errors import InputError
from stages.core.types import Frame, Probability
from stages.engines.refiners.cascadepsp.fast import rearranged, rearranged_for_few_sizes
from stages.engines.refiners.cascadepsp.refiner import (
    LONGEST_SIDE,
    check_longest_side,
    in_passes,
    normalised_picture,
    refine_picture,
    signed_mask,
)
from stages.engines.refiners.cascadepsp.views import View, object_window, of_one_size
from stages.nn.prepare import Precision, choose_device, prepare

AT_ONCE = 4
"""Objects that go through a network together, at most."""


class CascadePSP:
    """The engine `cascadepsp` (implements `stages.engines.protocols.Refiner`).

    By default only the object is looked at: its box plus a margin, at the picture's own scale, which the authors advise
    for objects that do not fill the picture. Where that is no more than `longest_side`, the local step has nothing to
    add and is left out. `exact` does what the authors' package does: the whole picture, enlarged to `longest_side`
    if it is smaller.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        exact: bool = False,
        longest_side: int = LONGEST_SIDE,
        margin: float = 0.125,
        passes: int = 3,
        soft: bool = False,
        windows: bool = True,
        device: str = "cpu",
        precision: Precision = "float32",
    ) -> None:
        """Prepare a network.

        Args:
            network: called as `CascadePSPNetwork`, in eval mode, its weights loaded.
            exact: reproduce the authors' package step by step.
            longest_side: of what the global step sees, in pixels; at least 66.
            margin: added to each side of the object's box, as a share of the box (the authors' 0.125 for scenes with
                small objects), though never less than 32 pixels. Unused if `exact`.
            passes: of the global step, 3, or 2 or 1 for a network that needs no more.
            soft: whether the network was trained on soft masks and wants them as they are, not at 0 and 1.
            windows: whether the local step follows where the object is larger than `longest_side`.
            device: where to compute: "cpu", "cuda", or "auto" (a GPU if there is one).
            precision: of convolutions, for a network without the local step.

        Raises:
            InputError: `longest_side` or `margin` is too small.
        """
        check_longest_side(longest_side)
        if not margin >= 0:
            raise InputError(f"CascadePSP: the margin is {margin}, expected a share of the box, 0 or more")
        self.exact = exact
        self.longest_side = longest_side
        self.margin = margin
        self.passes = passes
        self.soft = soft
        self.windows = windows
        self.device = choose_device(device)
        arranged = None if exact else rearranged if windows else rearranged_for_few_sizes
        self.network = prepare(network, device, arranged, precision)

    def refine(self, frame: Frame, probability: Probability) -> Probability:
        """Refine one object's mask on one frame.

        Args:
            frame: (H, W, 3) uint8 RGB.
            probability: (H, W) float32 in [0, 1]; above 0.5 is the object.

        Returns:
            (H, W) float32 in [0, 1]. Zero outside the window around the object, unless `exact`. A mask that has no
            pixel above 0.5 is returned unchanged: there is nothing to refine.

        Raises:
            InputError: shapes or types are not as above.
        """
        (refined,) = self.refine_all([(frame, probability)])
        return refined

    @property
    def at_once(self) -> int:
        """See `stages.engines.protocols.RefinesTogether`."""
        return 1 if self.exact or self.windows or self._on_cpu else AT_ONCE

    def refine_all(self, masks: Sequence[tuple[Frame, Probability]]) -> Iterator[Probability]:
        """The same for several; see `stages.engines.protocols.RefinesTogether`."""
        for frame, probability in masks:
            check_pair(frame, probability)
        if self.exact or self.windows:
            yield from (self._refine_alone(frame, probability) for frame, probability in masks)
            return
        views = [self._view(frame, probability) for frame, probability in masks]
        decided = iter(self._decided([view for view in views if view]))
        for view, (_, probability) in zip(views, masks, strict=True):
            yield view.placed(next(decided)) if view else probability.copy()

    @property
    def _on_cpu(self) -> bool:
        return self.device.type == "cpu"

    def _refine_alone(self, frame: Frame, probability: Probability) -> Probability:
        """With a local step, where the object is large enough for it: every object is of a size of its own."""
        mask = probability > 0.5
        if not mask.any():
            return probability.copy()
        if self.exact:
            return refine_picture(self.network, frame, mask, self.longest_side, device=self.device)
        window = object_window(mask, self.margin)
        longest = max(window.size_wh)
        side, fast = min(self.longest_side, longest), longest <= self.longest_side
        seen = frame[window.slices], self._given(probability)[window.slices]
        refined = np.zeros_like(probability)
        refined[window.slices] = refine_picture(self.network, *seen, side, fast, self.passes, self.device)
        return refined

    def _view(self, frame: Frame, probability: Probability) -> View | None:
        mask = probability > 0.5
        if not mask.any():
            return None
        return View.of(frame, self._given(probability), object_window(mask, self.margin), self.longest_side)

    def _given(self, probability: Probability) -> Probability:
        """A mask as the network wants it."""
        return probability if self.soft else (probability > 0.5).astype(np.float32)

    @torch.inference_mode()
    def _decided(self, views: Sequence[View]) -> list[Probability]:
        """What the network makes of each, in its size."""
        decided: dict[int, Probability] = {}
        # oneDNN compiles anew for each number of views, too: fewer than usual are not worth it.
        for numbers in of_one_size(views, AT_ONCE, fewer=not self._on_cpu):
            pictures = torch.cat([normalised_picture(views[number].picture) for number in numbers]).to(self.device)
            masks = torch.cat([signed_mask(views[number].mask) for number in numbers]).to(self.device)
            refined = in_passes(self.network, pictures, masks, self.passes)["pred_224"]
            decided |= zip(numbers, refined[:, 0].cpu().numpy(), strict=True)
        return [decided[number] for number in range(len(views))]


def check_pair(frame: Frame, probability: Probability) -> None:
    """Raises InputError unless this is a picture and a soft mask of its size."""
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or probability.shape != frame.shape[:2]:
        raise InputError(
            f"CascadePSP got a picture {frame.shape} {frame.dtype} and a mask {probability.shape}; "
            "expected (H, W, 3) uint8 and (H, W)"
        )
