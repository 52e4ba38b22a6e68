"""What a person painted over a frame: which pixels are strokes, which soft edges, and what is neither.

A painted picture is trusted where it equals the frame and where it has exactly a stroke colour. Every other pixel has
to be explained by the soft edge of a stroke nearby. Noise cannot be: lossy compression, scaling or another brightness
change most of the picture, or leave pixels that no edge explains. Nor can a stroke in a wrong colour: a soft edge
adjoins its stroke, and fades.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.drawing import BACKGROUND_RGB, NO_STROKE, StrokeLabels
from stages.core.palette import MAX_OBJECT_ID, davis_palette
from stages.core.types import Frame

SPECK_PX: Final = 4
"""What is smaller is a speck, no stroke."""
MOST_CHANGED: Final = 0.5
"""A picture that differs from the frame on a larger share, strokes aside, is another picture."""
_MOST_SPECKS_PX: Final = 12
"""More pixels than this in specks that nothing explains are noise."""
_ROUNDING: Final = 3
"""How far a paint program's blending may leave the range between two colours."""
_UNSEEN: Final = 16
"""On a frame that is nearer than this to a stroke's colour, the outer half of a soft edge changes next to nothing."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Painting:
    """What a painted picture holds."""

    labels: StrokeLabels
    """(H, W) int16: the object id of each stroke pixel, 0 is background, -1 is no stroke."""
    changed: Mask
    """(H, W) bool: pixels that differ from the frame, strokes included."""
    unexplained: Mask
    """(H, W) bool: changed pixels that are neither a stroke, nor the soft edge of one, nor specks."""
    specks: tuple[tuple[int, int], ...]
    """(x, y) of each speck that was passed over."""

    @property
    def changed_share(self) -> float:
        """How much of the picture besides the strokes differs from the frame, in [0, 1]."""
        rest = self.labels == NO_STROKE
        return int(np.count_nonzero(self.changed & rest)) / max(1, int(np.count_nonzero(rest)))

    @property
    def is_spoilt(self) -> bool:
        """Whether there is more in the picture than the frame and strokes, so that nothing in it can be trusted."""
        return bool(self.unexplained.any())


def stroke_colours() -> NDArray[np.uint8]:
    """The colour of each object's strokes, and of the background's at 0: (255, 3) uint8 RGB."""
    colours = davis_palette()[: MAX_OBJECT_ID + 1]
    colours[0] = BACKGROUND_RGB
    return colours


def find_strokes(rgba: NDArray[np.uint8], frame: Frame) -> Painting:
    """Find the strokes in a picture that was painted over a frame, or on a transparent layer.

    Only pixels of exactly a stroke colour begin a stroke, where the frame does not have that colour itself; of the soft
    edge around them the better half belongs to it. A line of another palette colour that a soft edge merely passes
    through, (64, 0, 0) between (128, 0, 0) and black, is no stroke.

    Args:
        rgba: (H, W, 4) uint8, the painted picture.
        frame: (H, W, 3) uint8 RGB, what it was painted on.
    """
    picture = _over(rgba, frame)
    labels = _pure(rgba[..., :3])
    labels[rgba[..., 3] < 255] = NO_STROKE
    differs: Mask = (picture != frame).any(axis=2)
    if not is_layer(rgba):
        labels[~differs] = NO_STROKE
    changed = differs | (labels != NO_STROKE)
    found = Painting(labels, changed, changed & (labels == NO_STROKE), ())
    if found.changed_share > MOST_CHANGED:
        return found
    labels = _without_contours(labels, picture, changed)
    hints = _drop_rare(labels)
    edges = _soft_edges(labels, picture, frame, changed)
    unexplained, noise = _split_specks(changed & (labels == NO_STROKE) & ~edges & ~hints)
    if np.count_nonzero(noise) > _MOST_SPECKS_PX:
        unexplained |= noise
    _take_edges(labels, picture, frame, edges)
    specks = noise | hints
    for object_id in np.unique(labels[labels != NO_STROKE]).tolist():
        small = _split_specks(labels == object_id)[1]
        labels[small] = NO_STROKE
        specks |= small
    return Painting(labels, changed, unexplained, _places(specks & ~unexplained))


def is_layer(rgba: NDArray[np.uint8]) -> bool:
    """Whether a picture (H, W, 4) is strokes on a transparent layer: most of it shows nothing."""
    return bool(np.count_nonzero(rgba[..., 3] == 0) > rgba[..., 3].size / 2)


def _over(rgba: NDArray[np.uint8], frame: Frame) -> Frame:
    """The picture as it looks above the frame: (H, W, 3) uint8 RGB."""
    alpha = rgba[..., 3:].astype(np.uint16)
    blended: Frame = ((rgba[..., :3] * alpha + frame * (255 - alpha) + 127) // 255).astype(np.uint8)
    return blended


def _pure(rgb: NDArray[np.uint8]) -> StrokeLabels:
    """The id of each pixel that has exactly a stroke colour."""
    colours = stroke_colours()
    id_of_colour = np.full(2**24, NO_STROKE, np.int16)
    id_of_colour[_colour_code(colours)] = np.arange(len(colours))
    labels: StrokeLabels = id_of_colour[_colour_code(rgb)]
    return labels


def _colour_code(rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    wide = rgb.astype(np.int32)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


# --- soft edges ------------------------------------------------------------------------------------------------------


def _reach_px(labels: StrokeLabels) -> int:
    """How wide the soft edge of a brush may be."""
    return max(12, min(labels.shape) // 20)


def _near(mask: Mask, reach_px: int) -> Mask:
    near: Mask = cv2.dilate(mask.astype(np.uint8), _window(reach_px)) > 0
    return near


def _window(reach_px: int) -> NDArray[np.uint8]:
    return np.ones((2 * reach_px + 1, 2 * reach_px + 1), np.uint8)


def _soft_edges(labels: StrokeLabels, picture: Frame, frame: Frame, changed: Mask) -> Mask:
    """Changed pixels that the soft edges of strokes explain: they adjoin a stroke nearby, mix its colour, and fade."""
    strokes = labels != NO_STROKE
    mixed = _mixed(labels, picture, frame) & changed & ~strokes
    return mixed & _connected_to(strokes, mixed | _hidden(labels, frame)) & ~_plateaus(labels, picture, frame)


def _mixed(labels: StrokeLabels, picture: Frame, frame: Frame) -> Mask:
    """Pixels whose colour lies, channel by channel, between the frame's and those of the strokes nearby."""
    strokes = labels != NO_STROKE
    colours = stroke_colours()[np.where(strokes, labels, 0)]
    window = _window(_reach_px(labels))
    darkest = cv2.erode(np.where(strokes[..., None], colours, np.uint8(255)), window)
    brightest = cv2.dilate(np.where(strokes[..., None], colours, np.uint8(0)), window)
    low = np.minimum(darkest, frame).astype(np.int16) - _ROUNDING
    high = np.maximum(brightest, frame).astype(np.int16) + _ROUNDING
    between: Mask = ((low <= picture) & (picture <= high)).all(axis=2)
    return between & _near(strokes, _reach_px(labels))


def _connected_to(strokes: Mask, mask: Mask) -> Mask:
    """The parts of a mask that touch strokes, be it through other parts of it."""
    count, parts = cv2.connectedComponents((mask | strokes).astype(np.uint8), connectivity=8)
    touching = np.bincount(parts[strokes], minlength=count) > 0
    connected: Mask = touching[parts]
    return connected


def _hidden(labels: StrokeLabels, frame: Frame) -> Mask:
    """Where the frame has the colour of a stroke nearby, so that an edge runs on unseen."""
    hidden = np.zeros(labels.shape, bool)
    for object_id in np.unique(labels[labels != NO_STROKE]).tolist():
        alike = _equal(frame, stroke_colours()[object_id], _UNSEEN)
        if alike.any():
            hidden |= alike & _near(labels == object_id, _reach_px(labels))
    return hidden


def _plateaus(labels: StrokeLabels, picture: Frame, frame: Frame) -> Mask:
    """Patches of one colour, three pixels wide, that is neither the frame's nor a stroke's: an edge would fade."""
    code = _colour_code(picture).astype(np.float32)  # exact: below 2 ** 24
    core = cv2.dilate(code, _window(1)) == cv2.erode(code, _window(1))
    patches = _near(core, 1) & ~_equal(picture, frame)
    for object_id in np.unique(labels[labels != NO_STROKE]).tolist() if patches.any() else []:
        patches &= ~_equal(picture, stroke_colours()[object_id])
    return patches


def _equal(picture: Frame, other: NDArray[np.uint8], tolerance: int = _ROUNDING) -> Mask:
    """Where the colours are the same, but for rounding."""
    equal: Mask = (np.abs(picture.astype(np.int16) - other) <= tolerance).all(axis=2)
    return equal


def _take_edges(labels: StrokeLabels, picture: Frame, frame: Frame, edges: Mask) -> None:
    """Count those pixels of soft edges as strokes, in place, that a stroke covers by half or more."""
    strokes = labels != NO_STROKE
    if not edges.any():
        return
    _, nearest = cv2.distanceTransformWithLabels(
        (~strokes).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    id_of = np.full(int(nearest.max()) + 1, NO_STROKE, np.int16)
    id_of[nearest[strokes]] = labels[strokes]
    ids = id_of[nearest[edges]]
    ground = frame[edges].astype(np.float32)
    to_stroke = stroke_colours()[ids] - ground
    to_pixel = picture[edges] - ground
    coverage = (to_pixel * to_stroke).sum(axis=1) / np.maximum(1, (to_stroke**2).sum(axis=1))
    labels[edges] = np.where(coverage >= 0.5, ids, NO_STROKE)


def _without_contours(labels: StrokeLabels, picture: Frame, changed: Mask) -> StrokeLabels:
    """Drop thin lines of one palette colour on the way from a stroke's colour to another or to the frame's."""
    kept = labels.copy()
    ids = np.unique(labels[labels != NO_STROKE]).tolist()
    for object_id in ids if len(ids) > 1 else []:
        mask = (labels == object_id).astype(np.uint8)
        count, parts = cv2.connectedComponents(mask, connectivity=8)
        core = cv2.erode(mask, _window(1), borderValue=0) > 0
        thin = np.bincount(parts[core], minlength=count) == 0
        thin[0] = False
        at_yx = np.argwhere(thin[parts])
        others = [other for other in ids if other != object_id]
        between = np.zeros(labels.shape, bool)
        between[tuple(at_yx.T)] = _lies_between(at_yx, object_id, others, labels, picture, changed)
        size = np.bincount(parts.ravel(), minlength=count)
        contour = thin & (np.bincount(parts[between], minlength=count) * 2 > size)
        kept[contour[parts]] = NO_STROKE
    return kept


def _lies_between(
    at_yx: NDArray[np.intp], object_id: int, others: list[int], labels: StrokeLabels, picture: Frame, changed: Mask
) -> Mask:
    """Whether the colours to both sides of each pixel lead away from its own, on one side towards a stroke nearby."""
    colours = stroke_colours().astype(np.float32)
    own = colours[object_id]
    between = np.zeros(len(at_yx), bool)
    last = np.array(labels.shape) - 1
    for other in others:
        near = _near(labels == other, _reach_px(labels))[tuple(at_yx.T)]
        if not near.any():
            continue
        goal = colours[other] - own
        for step in (np.array([[y, x]]) * far for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x for far in (1, 2)):
            ahead, behind = (tuple(np.clip(at_yx + way, 0, last).T) for way in (step, -step))
            onward, back = picture[ahead] - own, picture[behind] - own
            closer = changed[ahead] & (np.linalg.norm(onward - goal, axis=1) < np.linalg.norm(goal) - _ROUNDING)
            opposed = back @ goal < -0.7 * np.linalg.norm(back, axis=1) * np.linalg.norm(goal)
            between |= near & closer & opposed & (labels[behind] != object_id)
    return between


# --- specks ----------------------------------------------------------------------------------------------------------


def _split_specks(mask: Mask) -> tuple[Mask, Mask]:
    """The parts of a mask that are large enough to be meant, and the specks."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] < SPECK_PX
    small[0] = False
    specks: Mask = small[parts] if count > 1 else np.zeros_like(mask)
    return mask & ~specks, specks


def _drop_rare(labels: StrokeLabels) -> Mask:
    """Take out, in place, the ids that no more than a speck has in the whole picture; where they were."""
    ids, areas = np.unique(labels[labels != NO_STROKE], return_counts=True)
    rare: Mask = np.isin(labels, ids[areas < SPECK_PX])
    labels[rare] = NO_STROKE
    return rare


def _places(specks: Mask) -> tuple[tuple[int, int], ...]:
    """A corner of each speck: (x, y) pixels."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(specks.astype(np.uint8), connectivity=8)
    return tuple((int(x), int(y)) for x, y in stats[1:count, :2])
