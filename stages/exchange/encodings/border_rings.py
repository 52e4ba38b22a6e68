"""One ring through the border pixels of a mask, for programs that know neither parts nor holes.

OpenCV's contours run through pixels, and its filling includes the border: one part comes back as it was. Several parts
and holes are joined by bridges, lines there and back, which OpenCV fills one pixel wide. Those to holes lie within the
object and change nothing; between parts a line shows.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Ring = NDArray[np.float64]
"""(points, 2) x, y of pixels; the first point is not repeated at the end."""


def border_ring(mask: NDArray[np.bool_], tolerance: float = 0.0) -> Ring:
    """The borders of all parts and holes of a mask as one ring.

    Args:
        mask: (H, W) bool, not empty.
        tolerance: by how many pixels each border may be simplified (Douglas and Peucker); 0 keeps every pixel.

    Returns:
        whole numbers; one or two points, if the mask has no more.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if tolerance > 0:
        contours = [cv2.approxPolyDP(each, tolerance, closed=True) for each in contours]
    return _without_middles(_joined([each.reshape(-1, 2).astype(np.float64) for each in contours]))


def _joined(rings: list[Ring]) -> Ring:
    """Rings bridged into one, each to what is joined already, by the nearest pair of points: the shortest bridges."""
    path, *rest = rings
    if not rest:
        return path
    points = np.concatenate(rest)
    owners = np.repeat(np.arange(len(rest)), [len(ring) for ring in rest])
    distances = np.full(len(points), np.inf)
    partners = np.zeros_like(points)
    grown = path
    while len(points):
        beyond = np.maximum(np.maximum(grown.min(axis=0) - points, points - grown.max(axis=0)), 0)
        near = np.flatnonzero(np.hypot(*beyond.T) < distances)
        found, at = KDTree(grown).query(points[near])
        nearer = found < distances[near]
        distances[near[nearer]], partners[near[nearer]] = found[nearer], grown[at[nearer]]
        nearest = int(distances.argmin())
        grown = rest[owners[nearest]]
        leaves = int((path == partners[nearest]).all(axis=1).argmax()) + 1
        around = np.roll(grown, -int((grown == points[nearest]).all(axis=1).argmax()), axis=0)
        path = np.concatenate([path[:leaves], around, around[:1], path[leaves - 1 :]])
        left = owners != owners[nearest]
        points, owners, distances, partners = points[left], owners[left], distances[left], partners[left]
    return path


def _without_middles(ring: Ring) -> Ring:
    """Without the points that repeat the one before, and those at which a ring goes straight on."""
    ring = ring[(ring != np.roll(ring, 1, axis=0)).any(axis=1)] if len(ring) > 1 else ring
    if len(ring) < 3:
        return ring
    before, behind = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    turns = before[:, 0] * behind[:, 1] != before[:, 1] * behind[:, 0]
    goes_back = (before * behind).sum(axis=1) < 0
    return ring[turns | goes_back]
