"""From a picture with masks to a training example: one object, in a square crop, as a camera might have seen it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.boxes import Box
from stages.core.errors import InputError
from stages.core.palette import IGNORE
from stages.training.pictures import SMALLEST_SIDE_PX, Picture
from stages.training.recipe import Draw
from stages.training.strokes import disc

T = TypeVar("T")
Rgb = NDArray[np.uint8]
Affine = NDArray[np.float64]
"""(2, 3): pixels of a picture to pixels of the crop."""

_TRIES: Final = 1000
_POLYGON_ERROR_PX: Final = 2
_EXACT_SETS: Final = ("ccp_person", "davis16_train", "davis17_first_frames")
"""Whose contours are no polygons."""
BEYOND: Final = (127, 127, 127)
"""Colour outside of a picture: what the networks see as zero."""


@dataclass(frozen=True)
class Crowd:
    """Some objects of a picture in a crop of S x S pixels."""

    rgb: Rgb
    """(S, S, 3)."""
    labels: NDArray[np.uint8]
    """(S, S): 0 background, 1.. the objects, the first one is what the crop was made for, 255 unknown."""
    bystanders: NDArray[np.bool_]
    """(S, S): background that is another object."""

    @property
    def count(self) -> int:
        """Number of objects."""
        return int(self.labels[self.labels != IGNORE].max(initial=0))


@dataclass(frozen=True)
class Scene:
    """One object in a crop of S x S pixels."""

    rgb: Rgb
    """(S, S, 3)."""
    target: NDArray[np.uint8]
    """(S, S): 1 object, 0 background, 255 unknown."""
    others: NDArray[np.uint8]
    """(S, S): 1 where another labelled object is."""


def drawn(make: Callable[[], T], fits: Callable[[T], bool | np.bool_], wanted: str) -> T:
    """Draw until it fits.

    Raises:
        InputError: nothing of a thousand did; nothing will.
    """
    for _ in range(_TRIES):
        made = make()
        if fits(made):
            return made
    raise InputError(
        f"drew {_TRIES} times from the pictures and found none with {wanted}; expected pictures that show some. Add "
        "such pictures, or enlarge those that there are"
    )


def draw_scene(
    draw: Draw, rng: np.random.Generator, side_px: int, pasted: float = 0.25, fill: tuple[float, float] = (0.25, 0.95)
) -> Scene:
    """Draw a picture, choose an object of it (or two that touch), and look at it from somewhere near.

    A share `pasted` of the objects is cut out and put in front of another picture. The object's longer side takes a
    share of the crop's, `fill` from lowest to highest.
    """
    picture, mask = draw_object(draw, rng)
    affine = view(Box.around(mask == 1), mask.shape, rng, side_px, fill)
    rgb = seen(picture.rgb, affine, side_px, BEYOND)
    target = warp(mask, affine, side_px, cv2.INTER_NEAREST, IGNORE)
    labels = warp(picture.labels, affine, side_px, cv2.INTER_NEAREST, 0)
    others = ((labels > 0) & (labels != IGNORE) & (target == 0)).astype(np.uint8)
    if rng.random() < pasted:
        rgb, target = before_another(rgb, target, draw(rng), rng)
        others[:] = 0
    return Scene(photograph(rgb, rng), target, others)


def draw_object(draw: Draw, rng: np.random.Generator) -> tuple[Picture, NDArray[np.uint8]]:
    """A picture with an object of some size, and its mask (H, W): 1 object, 0 background, 255 unknown.

    Large objects are drawn more often, by the root of their area. One in seven is joined with an object that it
    touches: what belongs together is said by the strokes alone.
    """
    wanted = f"an object that is {SMALLEST_SIDE_PX} pixels long"
    picture = drawn(lambda: draw(rng), lambda picture: bool(picture.objects()), wanted)
    fitting = picture.objects()
    sizes = np.sqrt([picture.areas[object_id] for object_id in fitting])
    chosen = [int(rng.choice(fitting, p=sizes / sizes.sum()))]
    mask = picture.labels == chosen[0]
    if rng.random() < 1 / 7:
        grown = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        touching = [value for value in np.unique(picture.labels[grown]).tolist() if value in fitting]
        mask = np.isin(picture.labels, [*chosen, *rng.permutation(touching)[:2]])
    result = mask.astype(np.uint8)
    result[picture.labels == IGNORE] = IGNORE
    return picture, result


def with_band(picture: Picture) -> Picture:
    """The picture, nothing known along the boundaries of its masks if these are polygons."""
    if picture.set_name in _EXACT_SETS:
        return picture
    kernel = disc(_POLYGON_ERROR_PX)
    band = cv2.dilate(picture.labels, kernel) != cv2.erode(picture.labels, kernel)
    return replace(picture, labels=np.where(band, np.uint8(IGNORE), picture.labels))


def nearest_known(target: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The object (H, W), with unknown pixels on the side of the nearest known one."""
    if not (target == 1).any() or not (target == 0).any():
        return target == 1
    to_object, to_rest = (cv2.distanceTransform((target != v).astype(np.uint8), cv2.DIST_L2, 3) for v in (1, 0))
    return to_object < to_rest


def photograph(rgb: Rgb, rng: np.random.Generator) -> Rgb:
    """Light, colour, sharpness and noise of another camera."""
    if rng.random() < 0.8:
        rgb = _developed(rgb, rng)
    if rng.random() < 0.25:
        rgb = cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.4, 1.8))
    if rng.random() < 0.15:
        rgb = cv2.filter2D(rgb, -1, motion_kernel(rng))
    if rng.random() < 0.4:
        noise = np.empty(rgb.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(2**31)))
        cv2.randn(noise, 0, rng.uniform(1, 8))
        rgb = np.asarray(cv2.add(rgb, noise, dtype=cv2.CV_8U), np.uint8)
    if rng.random() < 0.3:
        quality = int(rng.integers(35, 90))
        _, file = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])
        rgb = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)
    return rgb


def _developed(rgb: Rgb, rng: np.random.Generator) -> Rgb:
    """Another gamma, contrast, brightness, white balance and saturation."""
    grey = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    saturation = 0.0 if rng.random() < 0.04 else float(np.exp(rng.normal(0, 0.3)))
    rgb = cv2.addWeighted(rgb, saturation, grey, 1 - saturation, 0)
    tone = np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.2))
    tone = (tone - 0.5) * np.exp(rng.normal(0, 0.15)) + 0.5 + rng.normal(0, 0.06)
    curves = np.clip(255 * tone[:, None] * np.exp(rng.normal(0, 0.06, 3)), 0, 255).astype(np.uint8)
    return cv2.LUT(rgb, curves[None])


def motion_kernel(rng: np.random.Generator) -> NDArray[np.float32]:
    """A short line: what a moving camera does to a point."""
    length = int(rng.integers(3, 10))
    line = np.zeros((length, length), np.float32)
    line[length // 2] = 1
    turn = cv2.getRotationMatrix2D((length / 2 - 0.5, length / 2 - 0.5), rng.uniform(0, 180), 1)
    line = cv2.warpAffine(line, turn, (length, length))
    return line / max(float(line.sum()), 1e-6)


def view(
    box: Box,
    shape: tuple[int, ...],
    rng: np.random.Generator,
    side_px: int,
    fill: tuple[float, float],
    is_full: bool = False,
) -> Affine:
    """Scale, turn and shift so that the object in a box fills a share of the crop; `shape` is the picture's.

    There is no more of the world than the picture shows; `is_full`: the picture reaches from side to side on both axes,
    if the object leaves room for that.
    """
    (x, y), (width, height) = box[:2], box.size_wh
    share = np.exp(rng.uniform(*np.log(fill)))
    scale = max(share * side_px / max(width, height), side_px / max(shape))
    if is_full:
        scale = max(scale, min(side_px / min(shape), 0.95 * side_px / max(width, height)))
    slack_px = max(side_px - scale * max(width, height), 0.15 * side_px)
    centre = np.array([x + width / 2, y + height / 2]) + rng.uniform(-0.5, 0.5, 2) * slack_px / scale * 0.8
    reach_px = side_px / scale / 2
    for axis, length in enumerate(shape[1::-1]):  # stay inside of the picture where it is large enough
        low, high = min(reach_px, length / 2), max(length - reach_px, length / 2)
        centre[axis] = np.clip(centre[axis], low, high)
    angle = np.deg2rad(rng.normal(0, 8)) if rng.random() < 0.5 else 0.0
    stretch = np.exp(rng.normal(0, 0.08))
    flip = -1 if rng.random() < 0.5 else 1
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([flip * scale * stretch, scale / stretch])
    return np.column_stack([linear, np.full(2, side_px / 2) - linear @ centre])


def before_another(
    rgb: Rgb, target: NDArray[np.uint8], behind: Picture, rng: np.random.Generator
) -> tuple[Rgb, NDArray[np.uint8]]:
    """What is 1 in the target (S, S) cut out and put in front of another picture."""
    side_px = len(rgb)
    height, width = behind.labels.shape
    scale = side_px / min(height, width) * rng.uniform(1.0, 1.6)
    flip = rng.choice([-1, 1])
    centre = np.array([width, height]) / 2 + rng.uniform(-0.5, 0.5, 2) * (np.array([width, height]) - side_px / scale)
    linear = np.diag([flip * scale, scale])
    scenery = warp(
        behind.rgb, np.column_stack([linear, side_px / 2 - linear @ centre]), side_px, cv2.INTER_LINEAR, BEYOND
    )
    inside = (target == 1).astype(np.float32)
    alpha = cv2.GaussianBlur(inside, (0, 0), rng.uniform(0.5, 1.2))[..., None]
    mixed: Rgb = (alpha * rgb + (1 - alpha) * scenery).astype(np.uint8)
    return mixed, (target == 1).astype(np.uint8)


def seen(picture: NDArray[np.uint8], affine: Affine, side_px: int, beyond: object) -> NDArray[np.uint8]:
    """A picture, or a soft mask in bytes, through an affine, see `warp`: smooth, whether it shrinks or grows."""
    shrinks = abs(np.linalg.det(affine[:, :2])) < 0.5
    return warp(picture, affine, side_px, cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR, beyond)


def warp(picture: NDArray[np.uint8], affine: Affine, side_px: int, interpolation: int, beyond: object) -> Rgb:
    """A picture through an affine, (S, S) or (S, S, 3), with a colour or label where there is none."""
    if interpolation == cv2.INTER_AREA:  # warpAffine knows no area: blur first
        picture = cv2.GaussianBlur(picture, (0, 0), 0.4 / np.sqrt(abs(np.linalg.det(affine[:, :2]))))
        interpolation = cv2.INTER_LINEAR
    return cv2.warpAffine(
        picture, affine, (side_px, side_px), flags=interpolation, borderMode=cv2.BORDER_CONSTANT, borderValue=beyond
    )
