"""What a mask looks like tells how good it is."""

import math
from dataclasses import astuple

import cv2
import numpy as np
import pytest

from stages.core.look import look_at
from stages.core.types import Look


def disk(radius_px: float, softness_px: float = 0.0) -> np.ndarray:
    """(120, 160) float32: a disk whose edge is soft."""
    hard = cv2.circle(np.zeros((120, 160), np.float32), (80, 60), radius_px, 1.0, -1)
    return cv2.GaussianBlur(hard, (0, 0), softness_px) if softness_px else hard


def test_a_soft_mask_expects_what_would_come_of_it() -> None:
    """Pixels that are right with their own probability, drawn a hundred times."""
    soft = disk(30, 8.0)
    mask, rng = soft > 0.5, np.random.default_rng(0)
    drawn = rng.random((100, *soft.shape)) < soft
    ious = (drawn & mask).sum(axis=(1, 2)) / (drawn | mask).sum(axis=(1, 2))
    assert look_at(soft, mask).sureness == pytest.approx(float(ious.mean()), abs=0.005)
    assert look_at(disk(30), disk(30) > 0.5).sureness == 1


def test_masks_in_pieces_are_told_from_whole_ones() -> None:
    two = np.zeros((120, 160), np.float32)
    two[10:40, 10:40] = two[80:90, 100:130] = 1
    assert look_at(disk(30), disk(30) > 0.5).largest == 1
    assert look_at(two, two > 0.5).largest == pytest.approx(0.75)


def test_where_there_is_no_mask_there_is_nothing_to_see() -> None:
    assert all(map(math.isnan, astuple(look_at(disk(30) * 0.4, np.zeros((120, 160), bool)))))
    assert astuple(look_at(disk(30), np.zeros((120, 160), bool))) == pytest.approx(astuple(Look()), nan_ok=True)
