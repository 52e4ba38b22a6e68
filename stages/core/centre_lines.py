"""From thick strokes back to the lines that a hand drew: thinning, longest paths, branches."""

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra, minimum_spanning_tree
from skimage.morphology import skeletonize

from stages.core.boxes import Box

_SMOOTHING_PX: Final = 0.8
"""How far a simplified line may leave the chain of pixels that it was traced from."""


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


def centre_lines(stroke: NDArray[np.bool_]) -> Iterator[list[tuple[float, float]]]:
    """Trace the centre lines of one object's strokes (H, W): lists of (x, y) pixels, at least two points each."""
    filled = cv2.morphologyEx(stroke.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
    box = Box.around(filled)  # thinning takes as long as the picture is large
    inside, corner_yx = filled[box.slices], (box.top, box.left)
    radius_px = cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[
        1:-1, 1:-1
    ]
    pixels_yx = np.argwhere(skeletonize(inside))  # type: ignore[no-untyped-call]
    branches = False
    while len(pixels_yx):
        paths = longest_paths(pixels_yx)
        for path in paths:
            radii_px = radius_px[tuple(path.T)]
            spur = branches and len(path) <= 1.5 * radii_px.max() + 1
            if not spur:
                path_xy = (path + corner_yx)[:, ::-1]
                yield _simplified(_to_the_ends(path_xy, filled, float(np.median(radii_px))), stroke.shape[1])
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
