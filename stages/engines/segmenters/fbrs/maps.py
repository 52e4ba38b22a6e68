"""Clicks as the network sees them: two maps of the distance to the nearest click of each sign."""

import torch
from torch import Tensor

NORM_RADIUS_PX = 260.0
"""Distances are measured in units of this; all published networks were trained with it."""
FAR = 1e6
"""Squared distance to a click that does not exist: its map value is exactly 1."""


def distance_maps(points: Tensor, size_hw: tuple[int, int], norm_radius_px: float = NORM_RADIUS_PX) -> Tensor:
    """Draw clicks as distance maps (f-BRS, CVPR 2020, section 4; closed form of the official evaluation code).

    Args:
        points: (N, 2K, 2) float32, (row, column) in pixels; the first K rows are positive clicks, the rest negative.
            A row whose two coordinates are both negative is padding. This also hides a real click above *and* left of
            a crop: a fault of the original that parity asks for.
        size_hw: height and width of the maps.
        norm_radius_px: distance that counts as 1.

    Returns:
        (N, 2, H, W) float32 in [0, 1): positive and negative clicks; 0 at a click, 1 far from all.
    """
    height, width = size_hw
    clicks = points.float().view(len(points), 2, -1, 2)
    row_px = torch.arange(height, dtype=torch.float32, device=points.device)
    column_px = torch.arange(width, dtype=torch.float32, device=points.device)
    rows = ((row_px - clicks[..., 0, None]) / norm_radius_px).square()
    columns = ((column_px - clicks[..., 1, None]) / norm_radius_px).square()
    valid = clicks.amax(dim=-1) >= 0

    nearest = torch.full((*clicks.shape[:2], height, width), FAR, device=points.device)
    for k in range(clicks.shape[2]):  # one click at a time: memory does not grow with their number
        distance = rows[:, :, k, :, None] + columns[:, :, k, None, :]
        nearest = torch.minimum(nearest, distance.masked_fill(~valid[:, :, k, None, None], FAR))
    return torch.tanh(2 * nearest.sqrt())
