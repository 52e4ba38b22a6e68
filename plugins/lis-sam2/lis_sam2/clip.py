"""Frames as SAM 2 takes them, one by one: its own loaders hold a whole clip in memory, and its state grows with it."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import sam2.sam2_video_predictor
import sam2.utils.misc
import torch
from PIL import Image
from sam2.sam2_video_predictor import SAM2VideoPredictor
from torch import Tensor
from tqdm import tqdm

from stages.core.types import Frame

State = dict[str, Any]
"""What the package calls an inference state."""
_MEAN, _STD = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
for each in (sam2.sam2_video_predictor, sam2.utils.misc):
    each.tqdm = partial(tqdm, disable=True)  # LIS shows how far it is


class Pictures:
    """The frames of a clip, read when SAM 2 looks at them."""

    def __init__(self, frames: Sequence[Frame], known: Mapping[int, Frame], side_px: int) -> None:
        """`known`: frames that need not be read, by their index."""
        self._frames, self._known, self._side_px = frames, known, side_px

    def __len__(self) -> int:
        """The whole clip's."""
        return len(self._frames)

    def __getitem__(self, index: int) -> Tensor:
        """(3, side, side) float32, as the package's loaders make it of a picture."""
        frame = self._known[index] if index in self._known else self._frames[index]
        square = Image.fromarray(np.ascontiguousarray(frame)).resize((self._side_px, self._side_px))
        return (torch.tensor(np.array(square) / 255).permute(2, 0, 1).float() - _MEAN) / _STD


class Clips:
    """Makes states of clips."""

    def __init__(self, predictor: SAM2VideoPredictor) -> None:
        """Have the package make one, of an empty picture; it takes files alone."""
        self._side_px = predictor.image_size
        with TemporaryDirectory() as folder:
            Image.new("RGB", (8, 8)).save(Path(folder) / "0.jpg")
            self._blank: State = {**predictor.init_state(folder), "images": None, "cached_features": {}}

    def begin(self, frames: Sequence[Frame], known: Mapping[int, Frame], size_hw: Sequence[int]) -> State:
        """A state of a clip that nothing has been said of; for `known` see `Pictures`."""
        height, width = size_hw
        pictures = Pictures(frames, known, self._side_px)
        about = {"images": pictures, "num_frames": len(frames), "video_height": height, "video_width": width}
        return {**deepcopy(self._blank), **about}


def forget(predictor: SAM2VideoPredictor, state: State, index: int) -> None:
    """Let go of what SAM 2 looks back at no more once it has seen a frame; what it was told of anchors stays."""
    reach = max(predictor.num_maskmem * predictor.memory_temporal_stride_for_eval, predictor.max_obj_ptrs_in_encoder)
    for outputs in state["output_dict_per_obj"].values():
        seen = outputs["non_cond_frame_outputs"]
        for old in [each for each in seen if abs(each - index) >= reach]:
            del seen[old]
    for tracked in state["frames_tracked_per_obj"].values():
        tracked.clear()
