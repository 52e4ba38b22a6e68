"""A stretch between two anchors: masks on every frame, on disk."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from stages.anchor_masks import read_anchor
from stages.anchors import Segment
from stages.engines import Anchor, Direction, Frame, Probability, Propagator, SegmentFrame
from stages.errors import StageError
from stages.fusion import label_map
from stages.masks import write_mask
from stages.progress import Progress
from stages.soft import SoftMaskWriter, read_soft_mask, write_hdf5


def track_segment(
    folder: Path,
    video: Sequence[Frame],
    segment: Segment,
    anchor_folders: Mapping[int, Path],
    propagator: Propagator,
    progress: Progress,
) -> list[int]:
    """Carry the anchors' masks over a stretch and write `tracks.h5` and `masks/<frame>.png`.

    Args:
        folder: where to write.
        video: every frame, (H, W, 3) uint8 RGB, read lazily.
        segment: the stretch.
        anchor_folders: anchor frame -> folder that `stages.anchor_masks.segment_anchor` wrote.
        propagator: the engine.
        progress: wraps the loop over frames.

    Returns:
        The objects' ids: those of both anchors.
    """
    known = {index: read_anchor(path) for index, path in anchor_folders.items()}
    object_ids = sorted({object_id for ids, _ in known.values() for object_id in ids})
    left, right = (
        None if index is None else Anchor(index, video[index], _in_order(*known[index], object_ids))
        for index in (segment.left, segment.right)
    )
    (folder / "masks").mkdir()
    stretch = segment.frames
    with write_hdf5(folder / "tracks.h5") as file:
        writer = _TrackWriter(file, object_ids, stretch)
        writer.describe([_source(number, left, right) for number in range(len(object_ids))])
        results = propagator.propagate(video, left, right) if object_ids else _nothing(video, stretch)
        for expected, result in zip(stretch, progress(results, len(stretch)), strict=True):
            if result.index != expected:
                raise StageError(f"the propagator gave frame {result.index} where frame {expected} was due.")
            writer.append(result)
            write_mask(folder / "masks" / f"{result.index:05d}.png", label_map(result.probability, object_ids))
        writer.close()
    return object_ids


def _source(number: int, left: Anchor | None, right: Anchor | None) -> str:
    """Which anchors an object is carried from."""
    seen_left = left is not None and bool((left.masks[number] > 0.5).any())
    seen_right = right is not None and bool((right.masks[number] > 0.5).any())
    return {(True, True): "both", (True, False): "forward", (False, True): "backward"}.get(
        (seen_left, seen_right), "absent"
    )


def _in_order(ids: list[int], masks: Probability, object_ids: list[int]) -> Probability:
    """Masks by the stretch's object ids; an object that is absent on this anchor is empty."""
    ordered = np.zeros((len(object_ids), *masks.shape[1:]), dtype=np.float32)
    for object_id, mask in zip(ids, masks, strict=True):
        ordered[object_ids.index(object_id)] = mask
    return ordered


def _nothing(video: Sequence[Frame], stretch: range) -> Iterator[SegmentFrame]:
    """A stretch whose anchors hold no object."""
    height, width = video[stretch[0]].shape[:2]
    for index in stretch:
        empty = np.zeros(0, dtype=np.float32)
        yield SegmentFrame(index, np.zeros((0, height, width), dtype=np.float32), empty, empty, ())


class _TrackWriter:
    """`tracks.h5`: `frames`, `object_ids`, and one group per object.

    A group `objects/<id>` holds the fused soft mask (see `stages.soft`), its `source` (both, forward, backward), and
    for each frame `score`, `agreement` (NaN where only one direction exists) and `reason`; engines with two directions
    add `forward` and `backward` with `box_xyxy` and `score`.
    """

    def __init__(self, file: h5py.File, object_ids: list[int], stretch: range):
        self._file = file
        self._object_ids = object_ids
        file.create_dataset("frames", data=np.array(stretch, dtype=np.int32))
        file.create_dataset("object_ids", data=np.array(object_ids, dtype=np.int32))
        self._masks = [SoftMaskWriter(file.create_group(f"objects/{object_id}")) for object_id in object_ids]
        self._results: list[tuple[NDArray[np.float32], NDArray[np.float32], tuple[str, ...], dict[str, Direction]]] = []

    def describe(self, sources: list[str]) -> None:
        for object_id, source in zip(self._object_ids, sources, strict=True):
            self._file[f"objects/{object_id}"].attrs["source"] = source

    def append(self, result: SegmentFrame) -> None:
        for writer, probability in zip(self._masks, result.probability, strict=True):
            writer.append(probability)
        self._file.attrs["size_wh"] = result.probability.shape[:0:-1]
        self._results.append((result.score, result.agreement, result.reasons, result.directions))

    def close(self) -> None:
        for number, object_id in enumerate(self._object_ids):
            group = self._file[f"objects/{object_id}"]
            self._masks[number].close()
            group.create_dataset("score", data=[score[number] for score, *_ in self._results], dtype=np.float32)
            group.create_dataset(
                "agreement", data=[agreement[number] for _, agreement, *_ in self._results], dtype=np.float32
            )
            reasons = [reasons[number] for *_, reasons, _ in self._results]
            group.create_dataset("reason", data=reasons, dtype=h5py.string_dtype())
            for name in self._results[0][3]:
                seen = [directions[name] for *_, directions in self._results]
                direction = group.create_group(name)
                direction.create_dataset("box_xyxy", data=[item.box_xyxy[number] for item in seen], dtype=np.float32)
                direction.create_dataset("score", data=[item.score[number] for item in seen], dtype=np.float32)


def count_frames(folder: Path) -> int:
    """How many frames a stretch has."""
    with h5py.File(folder / "tracks.h5", "r") as file:
        return len(file["frames"])


@dataclass(frozen=True)
class TrackedFrame:
    """One frame of a stretch, as read back."""

    index: int
    object_ids: list[int]
    probability: Probability
    """(objects, H, W) float32 in [0, 1]."""
    score: NDArray[np.float32]
    agreement: NDArray[np.float32]
    reasons: list[str]
    sources: list[str]
    """(objects,) `both`, `forward`, `backward`, `absent` or `lost`."""


def read_tracks(folder: Path) -> Iterator[TrackedFrame]:
    """The frames of a stretch, in order, as `track_segment` wrote them."""
    with h5py.File(folder / "tracks.h5", "r") as file:
        object_ids = [int(value) for value in file["object_ids"]]
        groups = [file[f"objects/{object_id}"] for object_id in object_ids]
        width, height = (int(value) for value in file.attrs["size_wh"])
        for position, index in enumerate(file["frames"]):
            reasons = [group["reason"].asstr()[position] for group in groups]
            masks = [read_soft_mask(group, position, height, width) for group in groups]
            yield TrackedFrame(
                index=int(index),
                object_ids=object_ids,
                probability=np.stack(masks) if masks else np.zeros((0, height, width), dtype=np.float32),
                score=np.array([group["score"][position] for group in groups], dtype=np.float32),
                agreement=np.array([group["agreement"][position] for group in groups], dtype=np.float32),
                reasons=reasons,
                sources=[
                    reason.split(":")[0] if reason else group.attrs["source"]
                    for reason, group in zip(reasons, groups, strict=True)
                ],
            )
