"""The folder `tracks/<stretch>/`: `tracks.h5`, and `masks/<frame>.png` to look at.

Where two directions disagree is told in a file of its own, see `stages.formats.disagreement`.

`tracks.h5` holds `frames`, `object_ids`, and one group per object. A group `objects/<id>` holds the fused soft mask
(see `stages.formats.soft_masks`), as its attribute `source` where it is carried from (both, forward, backward, absent),
and for each frame `score`, `agreement` (NaN where only one direction exists), `gone` (absent or lost; empty where there
is a mask) and `detail` (why); engines with two directions add `forward` and `backward` with `box_xyxy` and `score`.
Version 1 had one word for the last two: `reason`, "absent" or "lost: ...".
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h5py
import numpy as np
from numpy.typing import NDArray

from stages.core.fusion import label_map
from stages.core.states import Gone, Source
from stages.core.types import Direction, Probability, SegmentFrame
from stages.formats import files
from stages.formats.disagreement import DisagreementWriter
from stages.formats.hdf5 import read_hdf5, read_object_ids, read_size, write_hdf5
from stages.formats.masks import write_mask
from stages.formats.schema import check_schema
from stages.formats.soft_masks import SoftMaskWriter, read_soft_mask

TRACKS: Final = "tracks.h5"
MASKS: Final = "masks"
SCHEMA: Final = 2


def mask_file(folder: Path, index: int) -> Path:
    """The label map of a frame, before refinement."""
    return folder / MASKS / f"{index:05d}.png"


@dataclass(frozen=True)
class TrackedFrame:
    """One frame of a stretch, as read back."""

    index: int
    object_ids: tuple[int, ...]
    probability: Probability
    """(objects, H, W) float32 in [0, 1]."""
    score: NDArray[np.float32]
    agreement: NDArray[np.float32]
    sources: tuple[Source, ...]
    """(objects,) where each mask comes from, or why there is none."""
    details: tuple[str, ...]
    """(objects,) why a mask is empty; "" where it is not, and in files of former versions where it is absent."""


class TracksWriter:
    """Takes the frames of a stretch, one after the other, in order."""

    def __init__(self, folder: Path, file: h5py.File, object_ids: Sequence[int], sources: Sequence[Source]) -> None:
        self._folder, self._file, self._object_ids = folder, file, object_ids
        self._groups = [file.create_group(f"objects/{object_id}") for object_id in object_ids]
        for group, source in zip(self._groups, sources, strict=True):
            group.attrs["source"] = str(source)
        self._masks = [SoftMaskWriter(group) for group in self._groups]
        self._disagreement = DisagreementWriter(folder, object_ids)
        self._rest: list[
            tuple[NDArray[np.float32], NDArray[np.float32], tuple[Gone | None, ...], dict[str, Direction]]
        ] = []

    def append(self, result: SegmentFrame) -> None:
        """Add the next frame, and write its label map."""
        for writer, probability in zip(self._masks, result.probability, strict=True):
            writer.append(probability)
        self._file.attrs["size_wh"] = result.probability.shape[:0:-1]
        self._rest.append((result.score, result.agreement, result.gone, result.directions))
        if result.disagreement is not None:
            self._disagreement.append(result.index, result.disagreement)
        write_mask(mask_file(self._folder, result.index), label_map(result.probability, self._object_ids))

    def close(self) -> None:
        """Write what is known of every frame."""
        text = h5py.string_dtype()
        for number, group in enumerate(self._groups):
            self._masks[number].close()
            group.create_dataset("score", data=[score[number] for score, *_ in self._rest], dtype=np.float32)
            agreements = [agreement[number] for _, agreement, *_ in self._rest]
            group.create_dataset("agreement", data=agreements, dtype=np.float32)
            gone = [gone[number] for *_, gone, _ in self._rest]
            group.create_dataset("gone", data=[str(each.source) if each else "" for each in gone], dtype=text)
            details = [each.told(self._object_ids) if each else "" for each in gone]
            group.create_dataset("detail", data=details, dtype=text)
            for name in self._rest[0][3]:
                seen = [directions[name] for *_, directions in self._rest]
                direction = group.create_group(name)
                direction.create_dataset("box_xyxy", data=[item.box_xyxy[number] for item in seen], dtype=np.float32)
                direction.create_dataset("score", data=[item.score[number] for item in seen], dtype=np.float32)
        self._disagreement.close()


@contextmanager
def writing_tracks(
    folder: Path, stretch: range, object_ids: Sequence[int], sources: Sequence[Source]
) -> Iterator[TracksWriter]:
    """A writer for the frames of a stretch.

    Args:
        folder: it exists.
        stretch: the frame indices.
        object_ids: the objects, ascending.
        sources: (objects,) the anchors that each is carried from: `BOTH`, `FORWARD`, `BACKWARD` or `ABSENT`.
    """
    files.make_folder(folder / MASKS)
    with write_hdf5(folder / TRACKS) as file:
        file.attrs["schema"] = SCHEMA
        file.create_dataset("frames", data=np.array(stretch, dtype=np.int32))
        file.create_dataset("object_ids", data=np.array(object_ids, dtype=np.int32))
        writer = TracksWriter(folder, file, object_ids, sources)
        yield writer
        writer.close()


def count_frames(folder: Path) -> int:
    """How many frames a stretch has.

    Raises:
        StageError: the file is missing or damaged.
    """
    with read_hdf5(folder / TRACKS) as file:
        return len(file["frames"])


def read_tracks(folder: Path) -> Iterator[TrackedFrame]:
    """The frames of a stretch, in order.

    Raises:
        StageError: the file is missing or damaged, or a newer version of LIS has written it.
    """
    with read_hdf5(folder / TRACKS) as file:
        schema = check_schema(folder / TRACKS, int(file.attrs.get("schema", 1)), SCHEMA)
        object_ids = read_object_ids(file)
        groups = [file[f"objects/{object_id}"] for object_id in object_ids]
        width, height = read_size(file)
        gone = [_gone(group, schema) for group in groups]
        for position, index in enumerate(file["frames"]):
            masks = [read_soft_mask(group, position, height, width) for group in groups]
            why = [each[position] for each in gone]
            yield TrackedFrame(
                index=int(index),
                object_ids=object_ids,
                probability=np.stack(masks) if masks else np.zeros((0, height, width), dtype=np.float32),
                score=np.array([group["score"][position] for group in groups], dtype=np.float32),
                agreement=np.array([group["agreement"][position] for group in groups], dtype=np.float32),
                sources=tuple(
                    each.source if each else Source(group.attrs["source"])
                    for each, group in zip(why, groups, strict=True)
                ),
                details=tuple(each.detail if each else "" for each in why),
            )


def _gone(group: h5py.Group, schema: int) -> list[Gone | None]:
    """Why an object's mask is empty, frame by frame."""
    if schema == 1:
        parts = [reason.partition(": ") for reason in group["reason"].asstr()[()]]
        pairs = [(word, detail) for word, _, detail in parts]
    else:
        pairs = list(zip(group["gone"].asstr()[()], group["detail"].asstr()[()], strict=True))
    return [Gone(Source(word), detail) if word else None for word, detail in pairs]
