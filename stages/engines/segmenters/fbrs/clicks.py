"""Clicks, and the two forms in which the method uses them: points for the network, small squares for the loss."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SQUARE_RADIUS_PX = 1
PADDING = (-1.0, -1.0)


class Click(NamedTuple):
    """One point on the object (positive) or off it (negative)."""

    is_positive: bool
    row: float
    """Pixels; may be a fraction, and outside the picture after a crop."""
    column: float


class Square(NamedTuple):
    """The pixels that must agree with one click: rows top..bottom, columns left..right, ends exclusive."""

    is_positive: bool
    top: int
    bottom: int
    left: int
    right: int


def mirrored(clicks: Iterable[Click], width: int) -> list[Click]:
    """Follow a picture of this width through its horizontal flip."""
    return [click._replace(column=width - click.column - 1) for click in clicks]


def points_tensor(click_lists: Sequence[Sequence[Click]], limit: int | None = None) -> Tensor:
    """Arrange clicks for the network.

    Args:
        click_lists: one list of clicks for each picture of the batch.
        limit: only so many first clicks, counted over both signs, reach the network; None = all.

    Returns:
        (N, 2K, 2) float32, (row, column): K rows for positive clicks, K for negative ones, padded with (-1, -1).
    """
    most = max(
        (sum(click.is_positive is sign for click in clicks) for clicks in click_lists for sign in (True, False)),
        default=0,
    )
    k = max(1, most if limit is None else min(limit, most))
    points = torch.tensor(PADDING).repeat(len(click_lists), 2 * k, 1)
    for n, clicks in enumerate(click_lists):
        for first_row, sign in ((0, True), (k, False)):
            chosen = [(click.row, click.column) for click in clicks[:limit] if click.is_positive is sign]
            if chosen:
                points[n, first_row : first_row + len(chosen)] = torch.tensor(chosen)
    return points


def click_square(click: Click, size_hw: tuple[int, int], clip: bool = False) -> Square | None:
    """The 3x3 square around a click in which the loss is measured.

    Args:
        click: coordinates are rounded half to even.
        size_hw: height and width of the picture.
        clip: cut off what lies outside the picture. The original does not: it counts a negative start of the square
            from the far side, so that a click on the first row or column has no square, and one above or left of a
            crop marks innocent pixels at the opposite end.

    Returns:
        The square, or None where no pixel is left.
    """
    spans = []
    for coordinate, size in zip((click.row, click.column), size_hw, strict=True):
        start, stop = round(coordinate) - SQUARE_RADIUS_PX, round(coordinate) + SQUARE_RADIUS_PX + 1
        if clip:
            start, stop = max(start, 0), max(stop, 0)
        spans.append(slice(start, stop).indices(size)[:2])
    (top, bottom), (left, right) = spans
    return Square(click.is_positive, top, bottom, left, right) if top < bottom and left < right else None


def click_squares(clicks: Iterable[Click], size_hw: tuple[int, int], clip: bool = False) -> list[Square]:
    """The squares of all clicks that have one."""
    squares = (click_square(click, size_hw, clip) for click in clicks)
    return [square for square in squares if square is not None]


def square_masks(squares: Iterable[Square], size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """Paint squares: (2, H, W) bool, positive and negative; a pixel in two squares of one sign counts once."""
    masks = np.zeros((2, *size_hw), dtype=np.bool_)
    for square in squares:
        masks[0 if square.is_positive else 1, square.top : square.bottom, square.left : square.right] = True
    return masks
