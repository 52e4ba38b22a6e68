"""Flow between pictures of any shape."""

import cv2
import numpy as np
import pytest

from stages.core.optical_flow import dense_flow


@pytest.mark.parametrize("hw", [(8, 8), (9, 60), (12, 40), (12, 384), (15, 128), (16, 384), (60, 9), (40, 90)])
def test_flow_of_narrow_pictures_neither_fails_nor_ends_the_process(hw: tuple[int, int]) -> None:
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    now = np.random.default_rng(0).integers(0, 255, hw).astype(np.uint8)
    flow = dense_flow(dis, now, now)
    assert (flow.shape, flow.dtype) == ((*hw, 2), np.float32)
    assert np.abs(flow).max() < 0.5, "the same picture does not move"
