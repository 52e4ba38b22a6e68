"""Outlines of masks on the edges of pixels, and masks of outlines.

Pixel (x, y) covers the square x..x+1, y..y+1; an exact outline runs along the edges of such squares, so that a reader
that takes the pixels whose centre is inside gets the mask back, every pixel. Outlines through the centres of pixels, as
OpenCV's are, lose half a pixel all round.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.core.errors import InputError
from stages.core.types import LabelMap

Ring = NDArray[np.float64]
"""(points, 2) x, y in pixels on the source's plane; the first point is not repeated at the end."""
Mask = NDArray[np.bool_]
"""(H, W) bool."""

_NEVER_SEEN: Final = 1.0
"""How many sizes of the picture beyond its border a ring is cut off: filling costs memory by the length of edges."""
_LONGEST_PX: Final = 5_000_000
"""Filled in about half a gibibyte; the outline of every second pixel of a picture of 1080 lines is shorter."""


class Part(NamedTuple):
    """A connected part of a mask; parts may touch at corners."""

    shell: Ring
    holes: tuple[Ring, ...]


def extra(module: str) -> Any:
    """A library of the extra `export`.

    Raises:
        InputError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(
            f"found no library '{module.partition('.')[0]}' ({error}), expected it for this format; "
            "pip install 'lis[export]'"
        ) from None


def parts(mask: Mask, tolerance: float = 0.0) -> list[Part]:
    """The outlines of a mask, in the order of their first points, row by row.

    Args:
        mask: (H, W) bool.
        tolerance: by how many pixels the outline may leave the pixels' edges; 0 is exact.
    """
    return _parts_of(exact_outline(mask).simplify(tolerance))


def parts_together(labels: LabelMap, ids: Sequence[int], tolerance: float = 0.0) -> dict[int, list[Part]]:
    """The outlines of a frame's objects, simplified together: neighbours keep one border, without gap or overlap.

    Args:
        labels: (H, W) uint8 ids.
        ids: of the objects that are wanted; those without a pixel have no parts.
        tolerance: in pixels: the square root of the area of the corners that may be cut off; 0 is exact.
    """
    shapely = extra("shapely")
    present = [object_id for object_id in ids if (labels == object_id).any()]
    outlines = [exact_outline(labels == object_id) for object_id in present]
    if tolerance > 0 and outlines:
        outlines = list(shapely.coverage_simplify(edge_matched(outlines), tolerance))
    else:
        outlines = [each.simplify(0) for each in outlines]
    found = {object_id: _parts_of(outline) for object_id, outline in zip(present, outlines, strict=True)}
    return {object_id: found.get(object_id, []) for object_id in ids}


def rings(mask: Mask, tolerance: float = 0.0) -> list[Ring]:
    """One ring for each part of a mask, for formats that know no holes; see `bridged`."""
    return [bridged(part) for part in parts(mask, tolerance)]


def bridged(part: Part) -> Ring:
    """A part as one ring: each hole is joined to the outline by a way there and back over the same two points.

    Such a way has no width: it does not change which pixels are inside.
    """
    if not part.holes:
        return part.shell
    tree = extra("scipy.spatial").KDTree(part.shell)
    detours: dict[int, list[Ring]] = {}
    for hole in part.holes:
        distances, nearest = tree.query(hole)
        leaves_at = int(nearest[np.argmin(distances)])
        around = np.roll(hole, -int(np.argmin(distances)), axis=0)
        detours.setdefault(leaves_at, []).append(np.concatenate([around, around[:1], part.shell[leaves_at][None]]))
    pieces: list[Ring] = []
    for index, point in enumerate(part.shell):
        pieces += [point[None], *detours.get(index, [])]
    return np.concatenate(pieces)


def filled(ring: Ring, size_wh: tuple[int, int], where: str = "") -> Mask:
    """The pixels of a picture whose centre lies in a ring (even-odd), whatever lies outside the picture.

    Args:
        ring: (points, 2) finite numbers, at least three points; points may repeat.
        size_wh: of the picture.
        where: the ring comes from, for the message.

    Returns:
        (H, W) bool.

    Raises:
        InputError: the ring is of an absurd length.
    """
    coco = extra("pycocotools.mask")
    width, height = size_wh
    margin = _NEVER_SEEN * np.array(size_wh)
    inside = _clipped(ring, -margin, size_wh + margin)
    if len(inside) < 3:
        return np.zeros((height, width), bool)
    length = float(np.abs(np.roll(inside, -1, axis=0) - inside).max(axis=1).sum())
    if length > _LONGEST_PX:
        raise InputError(
            f"{where or 'an outline'}: found an outline that is {length:,.0f} pixels long, expected at most "
            f"{_LONGEST_PX:,}; draw it again"
        )
    return np.asarray(coco.decode(coco.frPyObjects([inside.ravel().tolist()], height, width))[..., 0], bool)


def edge_matched(outlines: Sequence[Any]) -> list[Any]:
    """Exact outlines, as shapely has them, with a point at every corner of a pixel: neighbours share all of theirs.

    That is what simplifying together asks for: also where two objects meet at the straight side of a third.
    """
    shapely = extra("shapely")
    return [shapely.transform(shapely.segmentize(each, 1), np.rint) for each in outlines]  # 7.000000000000001 is 7


def exact_outline(mask: Mask) -> Any:
    """The outline of a mask, a shapely geometry: the union of one rectangle a run of pixels a row."""
    shapely = extra("shapely")
    steps = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, begins = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    # in normal form a ring begins at a corner, which simplifying keeps
    return shapely.normalize(shapely.union_all(shapely.box(begins, rows, ends, rows + 1)))


def _parts_of(outline: Any) -> list[Part]:
    polygons = [each for each in extra("shapely").get_parts(outline) if not each.is_empty]
    found = [Part(_ring(each.exterior), tuple(_ring(hole) for hole in each.interiors)) for each in polygons]
    return sorted(found, key=lambda part: (part.shell[0][1], part.shell[0][0]))


def _ring(line: Any) -> Ring:
    """Its points, from the topmost left one, outlines clockwise on the screen."""
    points = np.asarray(line.coords, np.float64)[-1:0:-1]
    return np.roll(points, -int(np.lexsort((points[:, 0], points[:, 1]))[0]), axis=0)


def _clipped(ring: Ring, lower: Ring, upper: Ring) -> Ring:
    """A ring cut by a rectangle, after Sutherland and Hodgman: inside of it, nothing changes."""
    for axis in (0, 1):
        for border, sign in ((lower[axis], 1.0), (upper[axis], -1.0)):
            depths = sign * (ring[:, axis] - border)
            pieces: list[Ring] = []
            for here, there, depth, next_depth in zip(
                ring, np.roll(ring, -1, axis=0), depths, np.roll(depths, -1), strict=True
            ):
                if depth >= 0:
                    pieces.append(here)
                if (depth >= 0) != (next_depth >= 0):
                    pieces.append(here + (there - here) * (depth / (depth - next_depth)))
            ring = np.array(pieces).reshape(-1, 2)
    return ring
