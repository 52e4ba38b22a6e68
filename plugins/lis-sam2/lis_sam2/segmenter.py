"""Anchor masks by SAM 2."""

from typing import Any

import numpy as np
import torch
from sam2.sam2_video_predictor import SAM2VideoPredictor

from lis_sam2.clip import Clips
from lis_sam2.networks import seeing
from lis_sam2.prompts import Prompt, prompt_of
from stages.core.strokes import Clicks, FrameScribbles
from stages.core.types import Frame, Probability
from stages.nn.prepare import prepare


class Sam2Segmenter:
    """Masks of a frame, each object by itself, from points, a box, and the mask that they correct.

    The package's predictor of videos is asked, of a clip of one frame: its predictor of pictures sees them in one size.
    """

    heeds_masks = True

    def __init__(
        self, network: SAM2VideoPredictor, *, device: str, side_px: int, spacing_px: float, most_points: int
    ) -> None:
        """Take a network, filled and in eval mode.

        Args:
            network: taken over.
            device: `auto`, `cpu` or `cuda`.
            side_px: side of the square in which it sees a frame; rounded down to a multiple of 32.
            spacing_px: distance of points along a stroke.
            most_points: so many on an object, and off it.
        """
        self._predictor: SAM2VideoPredictor = prepare(seeing(network, side_px // 32 * 32), device)
        self._clips = Clips(self._predictor)
        self._spacing_px, self._most_points = spacing_px, most_points

    @torch.inference_mode()
    def segment(self, frame: Frame, scribbles: FrameScribbles, previous: Probability | None = None) -> Probability:
        """See `stages.engines.protocols.Segmenter`."""
        height, width = frame.shape[:2]
        masks = np.zeros((len(scribbles.object_ids), height, width), np.float32)
        state = self._clips.begin([frame], {}, (height, width))
        for number, object_id in enumerate(scribbles.object_ids):
            if previous is not None and (previous[number] > 0.5).any():
                self._predictor.add_new_mask(state, 0, object_id, np.ascontiguousarray(previous[number]) > 0.5)
            said = _as_arguments(self._prompt(scribbles, object_id, (width, height)))
            _, known, logits = self._predictor.add_new_points_or_box(state, 0, object_id, **said)
            masks[number] = torch.sigmoid(logits[known.index(object_id), 0]).cpu().numpy()
        return masks

    def clicks_used(self, scribbles: FrameScribbles, size_wh: tuple[int, int]) -> dict[int, Clicks]:
        """See `stages.engines.protocols.UsesClicks`."""
        return {each: self._prompt(scribbles, each, size_wh).points for each in scribbles.object_ids}

    def _prompt(self, scribbles: FrameScribbles, object_id: int, size_wh: tuple[int, int]) -> Prompt:
        return prompt_of(scribbles, object_id, size_wh, self._spacing_px, self._most_points)


def _as_arguments(prompt: Prompt) -> dict[str, Any]:
    """Of `add_new_points_or_box`: pixels as x, y; 1 is on the object, 0 is off it."""
    positive, negative = prompt.points.positive_yx, prompt.points.negative_yx
    labels = np.repeat(np.array([1, 0], np.int32), [len(positive), len(negative)])
    return {"points": np.concatenate([positive, negative])[:, ::-1].copy(), "labels": labels, "box": prompt.box_xyxy}
