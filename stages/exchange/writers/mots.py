"""MOTS: a text of run lengths a sequence, as MOTSChallenge has it, and PNG of 16 bits with the same numbers.

A number is the class times 1000, and the object's id; 10000 is what nobody knows. Class 10 is kept for that; class 2 is
the one that MOTSChallenge judges.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

import numpy as np
from PIL import Image

from stages.core.errors import InputError
from stages.exchange.encodings.documents import csv_line
from stages.exchange.encodings.run_lengths import run_lengths
from stages.exchange.outgoing.format import (
    UNKNOWN,
    ExportedClass,
    ExportedFrame,
    ExportedSequence,
    Format,
    Loss,
    SharedFiles,
)
from stages.exchange.outgoing.part import SPLIT, PartReader, PartWriter
from stages.exchange.outgoing.terms import Terms
from stages.formats.pictures import encoded

_JUDGED: Final = 2
_IGNORED: Final = 10
_BY_CLASS: Final = 1000
_MOST_CLASSES: Final = 64
"""The numbers 1 to 65, without 10: what 16 bits hold."""
_LINES: Final = "lines"


class Mots(Format):
    """`MOTS-<split>/<seq>/`: `gt/gt.txt`, `seqinfo.ini`, `img1/`, `instances/`; and `seqmaps/MOTS-<split>.txt`."""

    name = "mots"
    summary = "MOTSChallenge: run lengths as text, and PNG of 16 bits: trackeval, datumaro"
    loss = Loss(
        exact="yes", objects_apart="yes", identity="yes", holes="yes", unknown="class 10, per pixel", scores="no"
    )
    unknown = "class 10"
    options = frozenset({"mots_class", "unknown"})
    wants_jpg = True
    version = 2
    """1 had the lines of a frame in the order of the objects' ids, whatever their classes."""

    def check(self, terms: Terms) -> None:
        """Crowds are COCO's."""
        if terms.unknown == "crowd":
            raise InputError(
                "found --unknown crowd with the format mots, which has no crowds; leave it out: class 10 says it"
            )

    def check_classes(self, classes: Sequence[ExportedClass], terms: Terms) -> None:
        """As many as there are numbers, and the one that is to be judged among them."""
        class_numbers(classes, terms.mots_class)

    def picture_path(self, sequence: ExportedSequence, frame: ExportedFrame, terms: Terms) -> str:
        """By its number, from 1."""
        return f"{_folder(sequence)}/img1/{_stem(frame)}.jpg"

    def encode(
        self, sequence: ExportedSequence, frames: Iterator[ExportedFrame], part: PartWriter, terms: Terms
    ) -> None:
        """Lines of the text, and a PNG a frame."""
        numbers = class_numbers(sequence.classes, terms.mots_class)
        values = np.zeros(UNKNOWN + 1, np.uint16)
        values[UNKNOWN] = _IGNORED * _BY_CLASS
        for each in sequence.objects:
            values[each.id] = numbers[each.category] * _BY_CLASS + each.id
        folder = _folder(sequence)
        for frame in frames:
            if frame.labels is None:
                continue
            by_value = {int(values[object_id]): runs for object_id, runs in run_lengths(frame.labels).items()}
            for value, runs in sorted(by_value.items()):
                height, width = runs.size_hw
                counts = runs.compressed["counts"]
                line = f"{frame.number + 1} {value} {value // _BY_CLASS} {height} {width} {counts}"
                part.record(_LINES, line)
            png = encoded(Image.fromarray(values[frame.labels]), "PNG", compress_level=1)
            part.add(f"{folder}/instances/{_stem(frame)}.png", png)
        part.add(f"{folder}/instances/labels.txt", "".join(f"{name}\n" for name in _labels(numbers)))
        part.add(f"{folder}/seqinfo.ini", _seqinfo(sequence))
        part.head({"name": sequence.name})

    def join(self, parts: Mapping[str, Sequence[PartReader]], shared: SharedFiles, terms: Terms) -> None:
        """The texts of run lengths, and lists of sequences."""
        for split, those in parts.items():
            for part in those:
                path = f"MOTS-{split}/{part.head['name']}/gt/gt.txt"
                shared.write(path, (f"{line}\n" for line in part.records(_LINES)))
            shared.write(f"seqmaps/MOTS-{split}.txt", ["name\n", *(csv_line([part.head["name"]]) for part in those)])


def class_numbers(classes: Sequence[ExportedClass], judged: str) -> dict[ExportedClass, int]:
    """The numbers of the classes: by their places, without 10; with `judged`, the class of that name is 2.

    Raises:
        InputError: no class has that name, or they are more than 16 bits hold.
    """
    if len(classes) > _MOST_CLASSES:
        raise InputError(
            f"found {len(classes)} classes, expected {_MOST_CLASSES} at most, which is what the 16 bits of MOTS hold; "
            "export fewer, or use coco"
        )
    free = [number for number in range(1, _MOST_CLASSES + 2) if number != _IGNORED]
    chosen = [each for each in classes if each.name == judged]
    if judged and not chosen:
        names = [each.name for each in classes]
        near = get_close_matches(judged, names, 1)
        meant = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(names)}"
        raise InputError(f"found the class '{judged}' for --mots-class, which is none of the export's; {meant}")
    if chosen:
        free.remove(_JUDGED)
    others = dict(zip([each for each in classes if each not in chosen], free, strict=False))
    return {each: others.get(each, _JUDGED) for each in classes}


def _labels(numbers: Mapping[ExportedClass, int]) -> list[str]:
    """The names of the numbers from 1: line k names class k, so that no number may be left out."""
    names = {number: each.name for each, number in numbers.items()}
    last = max(names)
    if last > _IGNORED:
        names[_IGNORED] = _unlike("ignored", names)
    for number in range(1, last):
        names.setdefault(number, _unlike("other", names))
    return [names[number] for number in range(1, last + 1)]


def _unlike(name: str, names: Mapping[int, str]) -> str:
    while name in names.values():
        name += "_"
    return name


def _seqinfo(sequence: ExportedSequence) -> str:
    """What a sequence's pictures are; a rate only where it is known."""
    width, height = sequence.size_wh
    rate = [] if sequence.frame_rate is None else [f"frameRate={round(sequence.frame_rate, 3):g}"]
    lines = [
        "[Sequence]",
        f"name={sequence.name}",
        "imDir=img1",
        *rate,
        f"seqLength={sequence.kept_count}",
        f"imWidth={width}",
        f"imHeight={height}",
        "imExt=.jpg",
    ]
    return "\n".join(lines) + "\n"


def _folder(sequence: ExportedSequence) -> str:
    return f"MOTS-{SPLIT}/{sequence.name}"


def _stem(frame: ExportedFrame) -> str:
    return f"{frame.number + 1:06d}"
