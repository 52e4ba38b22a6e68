"""SiamMask as a `Tracker`: one object, one direction, frame by frame.

`begin` and `search` are the original procedure (VOS form: the box that starts it encloses a mask). What the pipeline
needs beyond it is in the class: masks on the scale of all engines, and a target that may be lost and found again.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.core.errors import InputError, StageError
from stages.core.fusion import lost_reason
from stages.core.soft import to_uint8
from stages.core.types import Frame, Probability, TrackResult
from stages.engines.propagators.siammask import crops, postprocess
from stages.engines.propagators.siammask.fast import rearranged
from stages.engines.propagators.siammask.lite import SiamMaskLite
from stages.engines.propagators.siammask.network import SiamMask
from stages.engines.propagators.siammask.postprocess import CONFIGURATIONS, Candidate, Configuration
from stages.nn.prepare import choose_device, prepare

_ANCHORS = crops.anchors()
_WINDOW = crops.cosine_window()
_MARGIN_PX: Final = 16
"""Around a mask that is drawn on a closer look: at the crop's border features are worse."""


class Network(Protocol):
    """What `SiamMask`, `FastSiamMask` and `SiamMaskLite` have in common. Template and state are each one's own."""

    mask_side: int
    sees_mask: bool
    """Whether `template` wants the object's mask as a fourth channel."""
    close_context: float | None
    """For a closer look to draw the mask on, see `crops.context_side`; None: it is drawn where the target is sought."""

    def template(self, z: Tensor) -> Any: ...  # noqa: D102 - see SiamMask
    def track_mask(self, template: Any, x: Tensor) -> tuple[Tensor, Tensor, Any]: ...  # noqa: D102
    def refine(self, state: Any, y: int, x: int) -> Tensor: ...  # noqa: D102


# ------------------------------------------------------------------------------------------ the original procedure


class Target(NamedTuple):
    """What is known of the object before a frame is searched."""

    template: Any
    """From its first frame, for good."""
    close: Any
    """The same from nearer, for networks that draw its mask there; or None."""
    fill: NDArray[np.float64]
    """(3,) mean colour of its first frame, RGB in 0..255."""
    centre_xy: tuple[float, float]
    """Frame pixels."""
    size_wh: tuple[float, float]
    """Frame pixels."""


class Sighting(NamedTuple):
    """What a search found."""

    target: Target
    """Where the next search begins."""
    best: Candidate
    score: float
    """Foreground probability of the best candidate."""
    mask: NDArray[np.float32]
    """(H, W) in [-1, 1], see `postprocess.paste`."""
    unclipped: tuple[tuple[float, float], tuple[float, float]]
    """Centre and size, frame pixels, before they were kept inside the frame."""


def begin(
    network: Network,
    frame: Frame,
    box_xywh: tuple[float, float, float, float],
    device: torch.device,
    mask: Probability | None = None,
) -> Target:
    """Learn what a target looks like.

    Args:
        network: on `device`.
        frame: (H, W, 3) uint8 RGB.
        box_xywh: left, top, width, height in pixels; not empty.
        device: where the network is.
        mask: (H, W) float32 in [0, 1]; needed by networks that see it.
    """
    left, top, width, height = box_xywh
    centre_xy, fill = (left + width / 2, top + height / 2), crops.mean_colour(frame)

    def template(context: float) -> Any:
        side = round(float(crops.context_side(width, height, context)))
        z = to_input(crops.crop(frame, centre_xy, side, fill, crops.TEMPLATE_SIDE_PX), device)
        if network.sees_mask:
            assert mask is not None
            grey = np.repeat(to_uint8(mask)[..., np.newaxis], 3, axis=2)
            shape = crops.crop(grey, centre_xy, side, np.zeros(3), crops.TEMPLATE_SIDE_PX)
            z = torch.cat([z, to_input(shape, device)[:, :1] / 255], dim=1)
        return network.template(z)

    close = None if network.close_context is None else template(network.close_context)
    return Target(template(crops.CONTEXT), close, fill, centre_xy, (width, height))


def search(network: Network, target: Target, frame: Frame, configuration: Configuration) -> Sighting | None:
    """Look for a target in the next frame.

    Args:
        network: the one that `begin` was called with.
        target: from `begin`, or from the last sighting.
        frame: (H, W, 3) uint8 RGB.
        configuration: hyper-parameters.

    Returns:
        The best candidate, however bad; None if the network gave no usable number.
    """
    frame_wh = (frame.shape[1], frame.shape[0])
    area = crops.search_area(target.centre_xy, target.size_wh)
    x = crops.crop(frame, target.centre_xy, area.side, target.fill, crops.SEARCH_SIDE_PX)
    cls, loc, state = network.track_mask(target.template, to_input(x, target.template.device))

    score = postprocess.foreground_score(cls.cpu().numpy())
    boxes = postprocess.decode_boxes(loc.cpu().numpy(), _ANCHORS)
    width, height = target.size_wh
    penalty = postprocess.size_penalty(boxes, (width * area.scale, height * area.scale), configuration.penalty_k)
    ranking = postprocess.penalised_score(score, penalty, _WINDOW, configuration.window_influence)
    best = postprocess.best_candidate(ranking, boxes)
    if best is None:
        return None

    rate = float(penalty[best.index] * score[best.index]) * configuration.size_rate
    unclipped = postprocess.next_state(area, target.size_wh, boxes[:, best.index], rate)
    centre_xy, size_wh = postprocess.clip_state(*unclipped, frame_wh)
    moved = target._replace(centre_xy=centre_xy, size_wh=size_wh)

    # The mask is placed by where the search was, and never feeds back into where the next one will be.
    patch_box = postprocess.patch_box(area, best.y, best.x)
    if network.close_context is None:
        patch = network.refine(state, best.y, best.x)
    else:
        patch, patch_box = look_closer(network, network.close_context, moved, frame, patch_box)
    drawn = patch[0].sigmoid().cpu().numpy()
    mask = postprocess.paste(drawn, postprocess.frame_box(patch_box, network.mask_side, frame_wh), frame_wh)
    return Sighting(moved, best, float(score[best.index]), mask, unclipped)


def look_closer(
    network: Network, context: float, target: Target, frame: Frame, near: tuple[float, float, float, float]
) -> tuple[Tensor, tuple[float, float, float, float]]:
    """Draw the target's mask in a crop that it fills better than the one that it was sought in.

    The crop's middle is that of the best cell's patch, which says better than the box where the target is.

    Returns:
        The mask's logits (1, side, side), and the square of the frame that it covers: left, top, width, height.
    """
    left, top, width, height = near
    centre_xy = left + width / 2, top + height / 2
    pixels = crops.TEMPLATE_SIDE_PX + 2 * _MARGIN_PX
    side = round(float(crops.context_side(*target.size_wh, context)) * pixels / crops.TEMPLATE_SIDE_PX)
    x = crops.crop(frame, centre_xy, side, target.fill, pixels)
    _, _, state = network.track_mask(target.close, to_input(x, target.close.device))
    middle = crops.FIRST_CELL + _MARGIN_PX // crops.STRIDE_PX
    scale = side / pixels
    # `paste` puts the middle of the first mask pixel onto the corner.
    left, top = (edge + scale * _MARGIN_PX + (scale - 1) / 2 for edge in crops.corner(centre_xy, side))
    covered = scale * crops.TEMPLATE_SIDE_PX
    return network.refine(state, middle, middle), (left, top, covered, covered)


def to_input(crop: NDArray[np.uint8], device: torch.device) -> Tensor:
    """(H, W, 3) uint8 RGB -> (1, 3, H, W) float32 BGR, 0..255."""
    return torch.from_numpy(crop[..., ::-1].copy()).permute(2, 0, 1).unsqueeze(0).to(device).float()


# ------------------------------------------------------------------------------------------ in the pipeline


class SiamMaskTracker:
    """Follows one object; holds its state, and shares the network with other trackers.

    A target is lost on a frame if its score is too low, or its mask's area out of proportion to when it was seen last.
    Then its state stays what it was: the search goes on from there, and finds it again if it comes back.
    """

    def __init__(
        self,
        network: Network,
        configuration: Configuration,
        device: torch.device,
        padding: float,
        minimum_score: float | None,
    ) -> None:
        self._network = network
        self._configuration = configuration
        self._device = device
        self._padding = padding
        self._minimum_score = minimum_score
        self._target: Target | None = None
        self._area_px = 0

    @torch.inference_mode()
    def start(self, frame: Frame, mask: Probability) -> None:
        """Begin with the object's mask on its anchor frame.

        Args:
            frame: (H, W, 3) uint8 RGB.
            mask: (H, W) float32 in [0, 1]; its box above 0.5, grown by the padding, starts the track.

        Raises:
            InputError: nothing in the mask is above 0.5, or its size is not the frame's.
        """
        if mask.shape != frame.shape[:2]:
            raise InputError(f"SiamMask got a mask of {mask.shape} for a frame of {frame.shape[:2]} (rows, columns)")
        solid = (mask > 0.5).astype(np.uint8)
        left, top, width, height = cv2.boundingRect(solid)
        if width == 0:
            raise InputError(
                f"SiamMask got an anchor mask with nothing above 0.5 (highest: {mask.max():.2f}); "
                "it needs a visible object to start from: leave the object out on this anchor"
            )
        margin_x, margin_y = self._padding * width, self._padding * height
        box_xywh = (left - margin_x, top - margin_y, width + 2 * margin_x, height + 2 * margin_y)
        self._target = begin(self._network, frame, box_xywh, self._device, mask)
        self._area_px = int(solid.sum())

    @torch.inference_mode()
    def step(self, frame: Frame) -> TrackResult:
        """Follow the object to the next frame.

        Args:
            frame: (H, W, 3) uint8 RGB, of the size of the first one.

        Returns:
            The mask (0.5 is the configuration's threshold), the box (it may reach beyond the frame) and the score.
            If the object is lost: an empty mask, a box of zeros, the score and the reason.

        Raises:
            StageError: `start` was not called.
        """
        if self._target is None:
            raise StageError("SiamMask was asked to step before it was started; call start(frame, mask) first")
        sighting = search(self._network, self._target, frame, self._configuration)
        if sighting is None:
            return lost(frame, 0.0, "the network gave no finite box")
        probability = postprocess.probability(sighting.mask, self._configuration.mask_threshold)
        area_px = int(np.count_nonzero(probability > 0.5))
        if self._minimum_score is not None:
            reason = lost_reason(sighting.score, self._minimum_score, area_px, self._area_px)
            if reason:
                return lost(frame, sighting.score, reason)
        self._target, self._area_px = sighting.target, area_px
        (x, y), (width, height) = self._target.centre_xy, self._target.size_wh
        return TrackResult(probability, (x - width / 2, y - height / 2, x + width / 2, y + height / 2), sighting.score)


def lost(frame: Frame, score: float, reason: str) -> TrackResult:
    """An empty result for a frame (H, W, 3)."""
    return TrackResult(np.zeros(frame.shape[:2], dtype=np.float32), (0.0, 0.0, 0.0, 0.0), score, reason)


def siammask(
    network: SiamMask | SiamMaskLite,
    configuration: str = "davis",
    *,
    exact: bool = False,
    device: str = "cpu",
    padding: float = 0.0,
    minimum_score: float | None = 0.3,
) -> Callable[[], SiamMaskTracker]:
    """Prepare a network for tracking.

    Args:
        network: `siammask_sharp`, `siammask_base` or `siammask_lite`, filled, in eval mode; it is moved to the device.
        configuration: `davis`, `vot`, `vot18` (for SiamMask_VOT_LD.pth), `base` or `lite`.
        exact: run the network as it was published; else an equivalent that is faster (see `fast.py`).
        device: `cpu`, `cuda`, ..., or `auto`: a GPU if there is one.
        padding: share of an anchor mask's width and height by which the first box is grown on each side; none in the
            original.
        minimum_score: below it a target counts as lost (see `stages.core.fusion.lost_reason`, which judges the area,
            too); None follows whatever comes, as the original does.

    Returns:
        Makes a fresh tracker at every call; all of them share the network.

    Raises:
        InputError: there is no such configuration, or the padding is negative.
    """
    if configuration not in CONFIGURATIONS:
        known = ", ".join(CONFIGURATIONS)
        raise InputError(f"there is no SiamMask configuration called {configuration!r}; expected one of: {known}")
    if padding < 0:
        raise InputError(f"found a padding of {padding} for SiamMask's first box; expected a share of it, 0 or more")
    runner = cast(Network, prepare(network, device, None if exact else rearranged))
    place = choose_device(device)
    return lambda: SiamMaskTracker(runner, CONFIGURATIONS[configuration], place, padding, minimum_score)
