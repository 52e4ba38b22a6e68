"""YOLO segmentation: a text file a picture, a row an object, in fractions of the picture.

Its trainers multiply by the size, cut off to whole pixels, and fill with OpenCV, border included; others round. So a
row runs through the centres of border pixels, and lies 0.4 px to the right and below: both ways give the pixel.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

import cv2
import numpy as np

from stages.core.errors import InputError
from stages.exchange.encodings.border_rings import Ring, border_ring
from stages.exchange.outgoing.format import ExportedFrame, ExportedSequence, Format, Loss, SharedFiles, picture_name
from stages.exchange.outgoing.part import SPLIT, PartReader, PartWriter
from stages.exchange.outgoing.terms import Terms

_INSIDE: Final = 0.4
"""How far from a pixel's corner its point lies, on both axes."""
_LEAST_STEP: Final = 1e-6
"""The last of six decimals."""
_MEASURED_EVERY: Final = 100


class Yolo(Format):
    """`images/<split>/<seq>_<stem>.jpg`, `labels/<split>/<seq>_<stem>.txt`, and `data.yaml`."""

    name = "yolo"
    summary = "YOLO segmentation: a text file of polygons a frame; for training YOLO models"
    loss = Loss(exact="no", objects_apart="yes", identity="lost", holes="by bridge", unknown="no", scores="no")
    unknown = ""
    options = frozenset({"tolerance"})
    copies_pictures = True  # its trainer writes into pictures, and a cache beside the labels

    def notes(self, splits: Sequence[str]) -> Sequence[str]:
        """A split that stands for another one."""
        train, val = _train_and_val(splits)
        if train != val:
            return ()
        return [
            f"no split is called val: data.yaml names the pictures of {train} for it, since readers ask; what is "
            "measured on them says nothing of others"
        ]

    def mask_bytes(self, terms: Terms) -> int:
        """A thousand points."""
        return 19_000

    def picture_path(self, sequence: ExportedSequence, frame: ExportedFrame, terms: Terms) -> str:
        """In one folder a split, whatever the sequence."""
        suffix = PurePosixPath(picture_name(frame, terms)).suffix
        return f"images/{SPLIT}/{_stem(sequence, frame)}{suffix}"

    def encode(
        self, sequence: ExportedSequence, frames: Iterator[ExportedFrame], part: PartWriter, terms: Terms
    ) -> None:
        """A file a frame, empty where there is nothing: missing is something else."""
        masks = 0
        for frame in frames:
            if frame.labels is None:
                continue
            rows: list[str] = []
            boxes: set[tuple[int, ...]] = set()
            for each in sequence.objects:
                mask = frame.labels == each.id
                if not mask.any():
                    continue
                ring = border_ring(mask, terms.tolerance)
                fractions = _fractions(ring, sequence.size_wh)
                category = sequence.class_index(each.category)
                while (box := (category, *_box(fractions))) in boxes:
                    fractions = fractions + _LEAST_STEP  # of rows with one class and one box, the trainer drops one
                boxes.add(box)
                rows.append(" ".join([str(category), *(f"{number:.6f}" for number in fractions.ravel())]))
                if masks % _MEASURED_EVERY == 0:
                    part.measured(_iou(mask, filled(fractions, sequence.size_wh)))
                masks += 1
            part.add(f"labels/{SPLIT}/{_stem(sequence, frame)}.txt", "".join(f"{row}\n" for row in rows))
            part.record("stems", _stem(sequence, frame))
        part.head({"sequence": sequence.name, "classes": [each.name for each in sequence.classes]})

    def join(self, parts: Mapping[str, Sequence[PartReader]], shared: SharedFiles, terms: Terms) -> None:
        """`data.yaml`."""
        for each in parts.values():
            _check_names(each)
        classes = next(part.head["classes"] for of_split in parts.values() for part in of_split)
        shared.write("data.yaml", _data_yaml(list(parts), classes))


def filled(fractions: Ring, size_wh: tuple[int, int]) -> np.ndarray:
    """The pixels that a trainer takes a row for, at the source's size: (H, W) bool."""
    mask = np.zeros(size_wh[::-1], np.uint8)
    cv2.fillPoly(mask, [(fractions * size_wh).astype(np.int32)], 1)
    return mask.astype(bool)


def _fractions(ring: Ring, size_wh: tuple[int, int]) -> Ring:
    """A ring as a row has it, with six decimals; at least three points, since fewer are taken for a box."""
    if len(ring) < 3:
        points = np.array([ring[0] + (0.2, 0.2), ring[-1] + (0.4, 0.2), ring[0] + (0.3, 0.4)])
    else:
        points = ring + _INSIDE
    return np.round(points / size_wh, 6)


def _box(fractions: Ring) -> tuple[int, ...]:
    """Its borders, in millionths."""
    corners = np.concatenate([fractions.min(axis=0), fractions.max(axis=0)])
    return tuple(int(each) for each in np.round(corners / _LEAST_STEP))


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def _stem(sequence: ExportedSequence, frame: ExportedFrame) -> str:
    return f"{sequence.name}_{PurePosixPath(frame.name).stem}"


def _check_names(parts: Sequence[PartReader]) -> None:
    """Refuse two sequences of a split whose files would have one name, such as `a_b` with `0` and `a` with `b_0`."""
    names = [part.head["sequence"] for part in parts]
    for part, name in zip(parts, names, strict=True):
        longer = [other for other, its in zip(parts, names, strict=True) if its.startswith(f"{name}_")]
        stems = set(part.records("stems")) if longer else set()
        for other in longer:
            for stem in other.records("stems"):
                if stem in stems:
                    raise InputError(
                        f"found the picture '{stem}' in the sequences '{name}' and '{other.head['sequence']}', "
                        "expected names that differ in one folder; export one of the two by itself, or rename it"
                    )


def _train_and_val(splits: Sequence[str]) -> tuple[str, str]:
    """Which splits are named for the two that readers demand."""
    train = "train" if "train" in splits else splits[0]
    return train, "val" if "val" in splits else train


def _data_yaml(splits: Sequence[str], classes: Sequence[str]) -> str:
    """Which pictures are for what, and the classes."""
    train, val = _train_and_val(splits)
    lines = [f"train: {_quoted(f'images/{train}')}", f"val: {_quoted(f'images/{val}')}"]
    if val == train:
        lines.insert(0, f"# no split is called val: the pictures of {_quoted(train)} stand for it, since readers ask")
    if "test" in splits:
        lines.append('test: "images/test"')
    lines += ["names:", *(f"  {index}: {_quoted(name)}" for index, name in enumerate(classes))]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A text in YAML's double quotes."""
    return '"' + "".join(each if each.isprintable() and each not in '"\\' else _escaped(each) for each in text) + '"'


def _escaped(character: str) -> str:
    return f"\\{character}" if character in '"\\' else f"\\U{ord(character):08X}"
