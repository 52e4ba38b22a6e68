"""Strokes as pixels: lines drawn into pictures, and lines read back from pictures that people painted over.

The pure palette colours mean the objects, (128, 0, 0) the first, (0, 128, 0) the second, (128, 128, 0) the third; white
means background. Black, the palette's own background colour, means nothing: too many pictures contain it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra, minimum_spanning_tree
from skimage.morphology import skeletonize

from stages.engines import Frame
from stages.errors import InputError
from stages.frames import load_picture, read_frame
from stages.masks import davis_palette
from stages.scribbles import MAX_OBJECT_ID, FrameScribbles, Line, path_pixels

NO_STROKE: Final = -1
BACKGROUND_RGB: Final = (255, 255, 255)
"""White is no palette colour."""
_SMOOTHING_PX: Final = 0.8
"""How far a simplified line may leave the chain of pixels that it was traced from."""

_StrokeLabels = NDArray[np.int16]
"""(H, W) int16: the object id of each stroke pixel, 0 is background, -1 is no stroke."""


def rasterise(scribbles: FrameScribbles, size_wh: tuple[int, int], thickness_px: int = 1) -> _StrokeLabels:
    """Draw all lines into a label map; later lines cover earlier ones.

    Returns:
        (H, W) int16: object ids, 0 where a background stroke is, -1 where there is no stroke.
    """
    labels = np.full(size_wh[::-1], NO_STROKE, np.int16)
    for line in scribbles.lines:
        stroke = np.zeros(labels.shape, np.uint8)
        _draw(stroke, line, (1, 1, 1), thickness_px)
        labels[stroke > 0] = line.object_id
    return labels


def draw_strokes(frame: Frame, scribbles: FrameScribbles, thickness_px: int = 3) -> Frame:
    """A copy of the frame (H, W, 3) uint8 RGB with all lines painted in their pure colours, without anti-aliasing."""
    painted = np.array(frame)
    for line in scribbles.lines:
        _draw(painted, line, stroke_rgb(line.object_id), thickness_px)
    return painted


def stroke_rgb(object_id: int) -> tuple[int, int, int]:
    """The colour that stands for an object's strokes: its palette colour, white for background."""
    if object_id == 0:
        return BACKGROUND_RGB
    red, green, blue = davis_palette()[object_id].tolist()
    return red, green, blue


def strokes_from_png(painted: Path, clean: Path) -> tuple[Line, ...]:
    """Read the strokes that a person painted over a frame.

    Only pixels of exactly a stroke colour count, so that the soft edge of a brush does no harm; nor do places where
    the clean frame has that colour itself. Strokes are thinned to their centre lines; of a branching stroke the longest
    path becomes one line and each branch another; a dot becomes a line one pixel long.

    Args:
        painted: strokes on the frame, or on a transparent layer of its size.
        clean: the frame without strokes.

    Returns:
        Lines in fractions of the frame, ordered by object id, then from top to bottom.

    Raises:
        InputError: a picture is unreadable, the sizes differ, or no stroke is found (or next to nothing else).
    """
    frame = read_frame(clean)
    rgba = np.array(load_picture(painted).convert("RGBA"))
    height, width = frame.shape[:2]
    if rgba.shape[:2] != frame.shape[:2]:
        raise InputError(
            f"{painted}: found {rgba.shape[1]}x{rgba.shape[0]} pixels, expected {width}x{height} as in {clean.name}; "
            f"paint on the picture without scaling or cropping it, or, if nothing is there, {_say_empty(painted)}"
        )
    labels = _stroke_labels(rgba, frame)
    _check_amount(painted, labels, rgba, frame)
    return tuple(
        Line(object_id, tuple((column / width, row / height) for column, row in path))
        for object_id in np.unique(labels[labels != NO_STROKE]).tolist()
        for path in sorted(_centre_lines(labels == object_id), key=lambda path: path[0][::-1])
    )


def longest_paths(pixels_yx: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The longest path through each 8-connected part of a skeleton; a cycle is cut open somewhere.

    Args:
        pixels_yx: (N, 2) row and column of its pixels.

    Returns:
        One (M, 2) array per part, from end to end.
    """
    tree = minimum_spanning_tree(_neighbour_graph(pixels_yx))
    _, part = connected_components(tree, directed=False)
    paths = []
    for label in range(part.max(initial=-1) + 1):
        members = np.flatnonzero(part == label)
        branches = tree[members][:, members]
        start, _ = _farthest(branches, 0)  # in a tree, the farthest node from anywhere ends a longest path
        node, before = _farthest(branches, start)
        path = [node]
        while node != start:
            node = int(before[node])
            path.append(node)
        paths.append(pixels_yx[members[path]])
    return paths


def _draw(canvas: NDArray[np.uint8], line: Line, colour: tuple[int, int, int], thickness_px: int) -> None:
    height, width = canvas.shape[:2]
    points = np.rint(path_pixels(line, (width, height))).astype(np.int32)
    points = np.concatenate([points, points[-1:]])  # a single point is drawn, too
    cv2.polylines(canvas, [points], isClosed=False, color=colour, thickness=thickness_px, lineType=cv2.LINE_8)


def _stroke_labels(rgba: NDArray[np.uint8], frame: Frame) -> _StrokeLabels:
    colours = davis_palette()[: MAX_OBJECT_ID + 1]
    colours[0] = BACKGROUND_RGB
    id_of_colour = np.full(2**24, NO_STROKE, np.int16)
    id_of_colour[_colour_code(colours)] = np.arange(len(colours))
    labels = id_of_colour[_colour_code(rgba[..., :3])]
    alpha = rgba[..., 3]
    labels[alpha < 255] = NO_STROKE
    on_a_layer = np.count_nonzero(alpha == 0) > alpha.size / 2
    if not on_a_layer:
        labels[(rgba[..., :3] == frame).all(axis=2)] = NO_STROKE
    return _without_fringes(labels)


def _colour_code(rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    wide = rgb.astype(np.int32)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def _without_fringes(labels: _StrokeLabels) -> _StrokeLabels:
    """Drop thin seams along larger strokes: soft edges can hit another palette colour, (64, 0, 0) = id 8 on black."""
    ids, areas = np.unique(labels[labels != NO_STROKE], return_counts=True)
    area_of = dict(zip(ids.tolist(), areas.tolist(), strict=True))
    kept = labels.copy()
    for object_id, area in area_of.items():
        larger = [other for other, other_area in area_of.items() if other_area > area]
        near_larger = cv2.dilate(np.isin(labels, larger).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        mask = (labels == object_id).astype(np.uint8)
        core = cv2.erode(mask, np.ones((3, 3), np.uint8), borderValue=0) > 0
        count, parts = cv2.connectedComponents(mask, connectivity=8)
        size = np.bincount(parts.ravel(), minlength=count)
        beside = np.bincount(parts[near_larger], minlength=count)
        thick = np.bincount(parts[core], minlength=count) > 0
        fringe = ~thick & (beside * 2 > size)
        fringe[0] = False
        kept[fringe[parts]] = NO_STROKE
    return kept


def _check_amount(painted: Path, labels: _StrokeLabels, rgba: NDArray[np.uint8], frame: Frame) -> None:
    stroke_px = np.count_nonzero(labels != NO_STROKE)
    if stroke_px > labels.size / 2:
        raise InputError(
            f"{painted}: found stroke colours on {100 * stroke_px / labels.size:.0f} % of the picture, expected "
            "strokes on the frame or on a transparent layer; save it with the frame beneath, or with its transparency"
        )
    if stroke_px > 0:
        return
    changed_px = np.count_nonzero((rgba[..., :3] != frame).any(axis=2) & (rgba[..., 3] > 0))
    found = f"{changed_px:,} changed pixels, but none of exactly a stroke colour" if changed_px else "no stroke"
    colours = ", ".join(f"{object_id} {stroke_rgb(object_id)}" for object_id in (1, 2, 3))
    raise InputError(
        f"{painted}: found {found}, expected strokes of a hard brush in the pure colours of the objects ({colours}, "
        f"..., background {BACKGROUND_RGB}); paint some, or, if no object is there, {_say_empty(painted)}"
    )


def _say_empty(painted: Path) -> str:
    return f"rename the file to {painted.name.replace('.strokes.png', '.empty.png')} to say so"


def _centre_lines(stroke: NDArray[np.bool_]) -> Iterator[list[tuple[float, float]]]:
    """Trace the centre lines of one object's strokes (H, W): lists of (x, y) pixels, at least two points each."""
    filled = cv2.morphologyEx(stroke.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
    radius_px = cv2.distanceTransform(np.pad(filled, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[
        1:-1, 1:-1
    ]
    pixels_yx = np.argwhere(skeletonize(filled))  # type: ignore[no-untyped-call]
    branches = False
    while len(pixels_yx):
        paths = longest_paths(pixels_yx)
        for path in paths:
            radii_px = radius_px[tuple(path.T)]
            spur = branches and len(path) <= 1.5 * radii_px.max() + 1
            if not spur:
                yield _simplified(_to_the_ends(path[:, ::-1], filled, float(np.median(radii_px))), stroke.shape[1])
        traced = {tuple(pixel) for path in paths for pixel in path.tolist()}
        pixels_yx = np.array([pixel for pixel in pixels_yx.tolist() if tuple(pixel) not in traced], np.intp)
        branches = True


def _to_the_ends(path_xy: NDArray[np.intp], filled: NDArray[np.bool_], radius_px: float) -> NDArray[np.float64]:
    """Make a path as long as its stroke: thinning eats the ends, so go straight on to a brush's radius before them."""
    looked_back = min(len(path_xy) - 1, round(2 * radius_px) + 4)
    longer: NDArray[np.float64] = path_xy.astype(np.float64)
    for _ in range(2 if looked_back > 1 else 0):
        longer = longer[::-1]
        direction = (longer[-1] - longer[-1 - looked_back]) / np.hypot(*(longer[-1] - longer[-1 - looked_back]))
        ahead = longer[-1] + np.arange(1, 4 * radius_px + 8)[:, None] * direction
        columns, rows = np.rint(ahead).astype(int).T
        inside = (columns >= 0) & (rows >= 0) & (columns < filled.shape[1]) & (rows < filled.shape[0])
        inside[inside] = filled[rows[inside], columns[inside]]
        free_px = int(np.argmin(np.append(inside, False)))
        longer = np.concatenate([longer, ahead[: max(0, round(free_px - radius_px + 1))]])
    return longer


def _simplified(path_xy: NDArray[np.float64], width: int) -> list[tuple[float, float]]:
    points = cv2.approxPolyDP(path_xy.astype(np.float32)[:, None], _SMOOTHING_PX, closed=False)[:, 0].tolist()
    if len(points) == 1:  # a dot
        x, y = points[0]
        points.append([x + 1 if x + 1 < width else x - 1, y])
    return [(x, y) for x, y in points]


def _neighbour_graph(pixels_yx: NDArray[np.intp]) -> csr_array:
    """Edges between 8-neighbours, weighted by their length: (N, N)."""
    node = {(row, column): index for index, (row, column) in enumerate(pixels_yx.tolist())}
    edges = [
        (index, node[row + down, column + right], np.hypot(down, right))
        for (row, column), index in node.items()
        for down, right in ((0, 1), (1, -1), (1, 0), (1, 1))
        if (row + down, column + right) in node
    ]
    start, end, length = zip(*edges, strict=True) if edges else ((), (), ())
    return csr_array(coo_array((length, (start, end)), shape=(len(node), len(node))))


def _farthest(tree: csr_array, start: int) -> tuple[int, NDArray[np.int32]]:
    """The node farthest from `start`, and for every node the one before it on the way there."""
    length, before = dijkstra(tree, directed=False, indices=start, return_predecessors=True)
    return int(length.argmax()), before
