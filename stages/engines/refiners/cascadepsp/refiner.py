"""CascadePSP's inference: a global step at a limited size, then a local step on windows at full size.

The functions reproduce the authors' package segmentation-refinement 0.6 (its pictures in RGB, as the network was
trained), quirks included. `refine_picture` is that package's `Refiner.refine`.

    picture, mask ─ global_step: resize to the longest side, three passes ─ fast: resize back, done
                                                                         └─ local_step: per window with a boundary, two
                                                                            passes more; overlaps are averaged
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from stages.core.boxes import Box
from stages.core.errors import InputError
from stages.core.types import Frame, Probability
from stages.engines.refiners.cascadepsp.network import MEAN_RGB, OUTPUT_STRIDE, STD_RGB

Mask = NDArray[np.bool_]

LONGEST_SIDE = 900
"""The authors' default (their L), in pixels."""
SHORTEST_LONGEST_SIDE = 66
"""Below this the windows of the local step would not advance."""
WINDOW_OVERLAP = 32
WINDOW_MARGIN = WINDOW_OVERLAP // 2
"""Pixels that are not blended at the sides of a window, where it has seen too little."""
BOUNDARY_SHARE = (0.1, 0.9)
"""A window is refined if the object's share of it lies between these."""


@torch.inference_mode()
def refine_picture(
    network: nn.Module,
    frame: Frame,
    mask: Mask | Probability,
    longest_side: int = LONGEST_SIDE,
    fast: bool = False,
    passes: int = 3,
    device: torch.device | str = "cpu",
) -> Probability:
    """The authors' `Refiner.refine`.

    Args:
        network: called as `CascadePSPNetwork`.
        frame: (H, W, 3) uint8 RGB.
        mask: (H, W) bool, the object (the package's `mask > 127`), or float32 in [0, 1] for a network that takes it.
        longest_side: of what the global step sees and of a window of the local step, in pixels. A smaller picture is
            enlarged to it.
        fast: the global step alone.
        passes: of the global step, 1 to 3.
        device: where the network is.

    Returns:
        (H, W) float32 in [0, 1], before the package makes it bytes (`to_uint8`).

    Raises:
        InputError: `longest_side` is below 66, and not `fast`.
    """
    if not fast:
        check_longest_side(longest_side)
    picture = normalised_picture(frame).to(device)
    coarse = global_step(network, picture, signed_mask(mask).to(device), longest_side, passes)
    if fast:
        refined = resize_back(coarse["pred_224"], frame.shape[0], frame.shape[1])
    else:
        refined = local_step(network, picture, coarse["pred_224"], coarse["pred_56_2"], longest_side)
    probability: Probability = refined[0, 0].cpu().numpy()
    return probability


def normalised_picture(frame: Frame) -> Tensor:
    """(H, W, 3) uint8 RGB -> (1, 3, H, W) float32, less ImageNet's mean, divided by its deviation."""
    picture = torch.from_numpy(np.ascontiguousarray(frame.transpose(2, 0, 1))[None]).float() / 255
    return (picture - torch.tensor(MEAN_RGB).view(1, 3, 1, 1)) / torch.tensor(STD_RGB).view(1, 3, 1, 1)


def signed_mask(mask: Mask | Probability) -> Tensor:
    """(H, W) bool, or float32 in [0, 1] -> (1, 1, H, W) float32: 1 on the object, -1 elsewhere."""
    return torch.from_numpy(mask.astype(np.float32) * 2 - 1)[None, None]


def global_step(
    network: nn.Module, picture: Tensor, mask: Tensor, longest_side: int, passes: int = 3
) -> dict[str, Tensor]:
    """Three passes, or the last of them, over the whole picture, resized to `longest_side` (enlarged if it is smaller).

    Args:
        network: called as `CascadePSPNetwork`.
        picture: (1, 3, H, W) as `normalised_picture` makes it.
        mask: (1, 1, H, W) float32 in [-1, 1].
        longest_side: in pixels.
        passes: see `in_passes`.

    Returns:
        (1, 1, h, w) probabilities pred_224, pred_28_3 and pred_56_2 at the resized size.
    """
    longest = max(picture.shape[-2:])
    if longest > longest_side:
        picture = resize_longest_side(picture, longest_side, "area")
        mask = resize_longest_side(mask, longest_side, "area")
    elif longest < longest_side:
        picture = resize_longest_side(picture, longest_side, "bicubic")
        mask = resize_longest_side(mask, longest_side, "bilinear")
    return in_passes(network, picture, mask, passes)


def in_passes(network: nn.Module, picture: Tensor, mask: Tensor, passes: int) -> dict[str, Tensor]:
    """`padded_forward` in the last one, two or three of its passes: the mask stands in for the results of the others.

    Args:
        network: called as `CascadePSPNetwork`.
        picture: (B, 3, H, W) as `normalised_picture` makes it.
        mask: (B, 1, H, W) float32 in [-1, 1].
        passes: 1 to 3.
    """
    return padded_forward(network, picture, mask, *[mask] * (3 - passes))


def resize_longest_side(values: Tensor, longest_side: int, mode: str) -> Tensor:
    """Resize (1, C, H, W) by the ratio of `longest_side` to its longer side.

    By a ratio and not to a size: the result may be one pixel shorter (854 becomes 479 of 480), and the positions of
    the samples follow from the ratio as given.
    """
    ratio = longest_side / max(values.shape[-2:])
    return F.interpolate(values, scale_factor=ratio, mode=mode, align_corners=None if mode == "area" else False)


def resize_back(probability: Tensor, height: int, width: int) -> Tensor:
    """Bring the global step's (1, 1, h, w) to the picture's size, as the package's fast mode does.

    It averages what was enlarged, and interpolates what was reduced with the corners aligned (here alone).
    """
    if max(height, width) < max(probability.shape[-2:]):
        return F.interpolate(probability, size=(height, width), mode="area")
    if max(height, width) > max(probability.shape[-2:]):
        return F.interpolate(probability, size=(height, width), mode="bilinear", align_corners=True)
    return probability


def padded_forward(
    network: nn.Module,
    picture: Tensor,
    mask: Tensor,
    inter_s8: Tensor | None = None,
    inter_s4: Tensor | None = None,
) -> dict[str, Tensor]:
    """Call the network on a picture of any size.

    If a side is no multiple of 8, both are padded to the next one, at the right and the bottom; a side that was
    already a multiple grows by 8 (as the authors have it: padding changes what the pyramid pooling averages). The
    picture is padded by its mean colour, masks by -1.

    Args:
        network: called as `CascadePSPNetwork`.
        picture: (1, 3, H, W) as `normalised_picture` makes it.
        mask: (1, 1, H, W) float32 in [-1, 1].
        inter_s8: see `CascadePSPNetwork.forward`; at the size of the mask.
        inter_s4: the same.

    Returns:
        (1, 1, H, W) probabilities pred_224, pred_28_3 and pred_56_2.
    """
    height, width = picture.shape[-2:]
    right = bottom = 0
    if height % OUTPUT_STRIDE or width % OUTPUT_STRIDE:
        bottom = OUTPUT_STRIDE - height % OUTPUT_STRIDE  # from 1 to 8, never 0
        right = OUTPUT_STRIDE - width % OUTPUT_STRIDE
    masks = [
        None if each is None else F.pad(each, (0, right, 0, bottom), value=-1) for each in (mask, inter_s8, inter_s4)
    ]
    results = network(F.pad(picture, (0, right, 0, bottom)), *masks)
    return {name: results[name][..., :height, :width] for name in ("pred_224", "pred_28_3", "pred_56_2")}


def local_step(network: nn.Module, picture: Tensor, fine: Tensor, coarse: Tensor, longest_side: int) -> Tensor:
    """Refine again, window by window at the picture's own scale, where the global result has a boundary.

    Args:
        network: called as `CascadePSPNetwork`.
        picture: (1, 3, H, W) as `normalised_picture` makes it.
        fine: (1, 1, h, w) the global step's pred_224.
        coarse: (1, 1, h, w) its pred_56_2.
        longest_side: side of a window, in pixels.

    Returns:
        (1, 1, H, W) float32: the mean of the windows' results; 0 or 1 where no window was refined.
    """
    height, width = picture.shape[-2:]
    # The windows start from a hard mask at full scale and a soft one at stride 8; the original mask is not used again.
    binary = torch.where(_resize_to(fine, height, width) > 0.5, 1.0, -1.0)
    soft = _resize_to(coarse, height, width) * 2 - 1
    total, count = torch.zeros_like(binary), torch.zeros_like(binary)
    for window in local_windows(height, width, longest_side):
        rows, columns = window.slices
        if not has_boundary(binary[..., rows, columns]):
            continue
        result = padded_forward(
            network, picture[..., rows, columns], binary[..., rows, columns], soft[..., rows, columns]
        )["pred_224"]
        inner = blended_part(window, height, width)
        inner_rows, inner_columns = inner.slices
        total[..., inner_rows, inner_columns] += result[
            ...,
            inner.top - window.top : inner.bottom - window.top,
            inner.left - window.left : inner.right - window.left,
        ]
        count[..., inner_rows, inner_columns] += 1
    return torch.where(count > 0, total / count.clamp(min=1), (binary + 1) / 2)


def local_windows(height: int, width: int, longest_side: int) -> list[Box]:
    """The windows of the local step, column by column; those at the right and bottom are moved back inside.

    Args:
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        longest_side: side of a window; windows are cut where the picture is smaller.
    """
    stride = longest_side // 2 - WINDOW_OVERLAP
    lefts = [max(min(left, width - longest_side), 0) for left in range(0, width + 1, stride)]
    tops = [max(min(top, height - longest_side), 0) for top in range(0, height + 1, stride)]
    return [
        Box(left, top, min(left + longest_side, width), min(top + longest_side, height))
        for left in dict.fromkeys(lefts)
        for top in dict.fromkeys(tops)
    ]


def has_boundary(binary: Tensor) -> bool:
    """Whether a window of -1 and 1 holds enough of both to be refined."""
    low, high = BOUNDARY_SHARE
    share = float((binary > 0).float().mean())
    return low <= share <= high


def blended_part(window: Box, height: int, width: int) -> Box:
    """The window less 16 pixels at each side that is not the picture's own."""
    return Box(
        window.left + (WINDOW_MARGIN if window.left > 0 else 0),
        window.top + (WINDOW_MARGIN if window.top > 0 else 0),
        window.right - (WINDOW_MARGIN if window.right < width else 0),
        window.bottom - (WINDOW_MARGIN if window.bottom < height else 0),
    )


def to_uint8(probability: Probability) -> NDArray[np.uint8]:
    """(H, W) float32 in [0, 1] -> uint8, truncated as the authors' package does."""
    return (probability * 255).astype(np.uint8)


def _resize_to(values: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(values, size=(height, width), mode="bilinear", align_corners=False)


# ---------------------------------------------------------------------------------------------- checks at the door


def check_longest_side(longest_side: int) -> None:
    """Raises InputError if the local step could not advance."""
    if longest_side < SHORTEST_LONGEST_SIDE:
        raise InputError(
            f"CascadePSP: the longest side is {longest_side} px, expected at least {SHORTEST_LONGEST_SIDE}: "
            "the windows of the local step, half a side less 32 px apart, must advance"
        )
