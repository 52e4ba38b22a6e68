"""What a sequence on the disk gives to an export: its result, its pictures, and what its objects are called."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from stages.core.errors import InputError
from stages.core.plan import Segment
from stages.exchange.outgoing.at_source import find_source, source_frames
from stages.exchange.outgoing.format import ExportedClass, ExportedObject
from stages.formats.classes_json import CLASSES_JSON, Classes
from stages.formats.import_record import recorded_source
from stages.formats.objects_json import NO_CLASS, OBJECTS_JSON, NamedObject
from stages.formats.review_json import Approvals


@dataclass(frozen=True)
class Material:
    """A sequence that is to be exported."""

    name: str
    """Unique in the export."""
    masks: Path
    """The folder of the result: a mask a frame, and frames.csv."""
    pictures: Path
    """The folder of its pictures."""
    names: tuple[str, ...]
    """Their file names, in order."""
    masks_wh: tuple[int, int]
    """The size of masks and pictures, in pixels."""
    anchors: tuple[int, ...]
    """The frames that a person annotated, as far as the result was made from them."""
    objects: tuple[NamedObject, ...]
    """By id."""
    classes: tuple[ExportedClass, ...]
    """The whole export's list."""
    anchor_masks: Mapping[int, Path] = field(default_factory=dict)
    """Frame -> the folder of its soft masks; there if they are needed."""
    tracks: Mapping[Segment, Path] = field(default_factory=dict)
    """Stretch -> the folder of its soft masks; there if they are needed."""
    approved: Approvals = field(default_factory=dict)
    """The frames that people have approved as they are; known if no others are to be exported."""
    declined: tuple[int, ...] = ()
    """Frames that nobody wants to draw on; known if frames are chosen to be corrected."""
    source: "Source | None" = None
    """What the pictures were imported from, if the export is to have its size."""

    @property
    def size_wh(self) -> tuple[int, int]:
        """Of what is exported, in pixels."""
        return self.source.size_wh if self.source else self.masks_wh

    @property
    def frame_rate(self) -> float | None:
        """Frames a second, if the import of the pictures knew it."""
        recorded = recorded_source(self.pictures)
        return recorded.frame_rate if recorded else None

    @property
    def exported_objects(self) -> tuple[ExportedObject, ...]:
        """As formats see them."""
        by_name = {each.name: each for each in self.classes}
        return tuple(
            ExportedObject(each.id, each.name, by_name[each.class_name], each.colour, each.attributes)
            for each in self.objects
        )

    @property
    def digest(self) -> str:
        """Of what is said of objects, classes, names of pictures and their rate: what masks do not depend on."""
        listed = [[asdict(each) for each in some] for some in (self.objects, self.classes)]
        said = [*listed, self.names, *([self.frame_rate] if self.frame_rate else [])]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Source:
    """What a sequence was imported from."""

    path: Path
    """A video, a picture with several pages, or a folder of pictures."""
    indices: Sequence[int]
    """The place in it of each frame of the sequence."""
    size_wh: tuple[int, int]
    """In pixels."""


def found_source(pictures: Path, count: int, given: Path | None = None) -> Source | None:
    """What a sequence's pictures were imported from; None if they have its size already.

    Args:
        pictures: the folder of the sequence's pictures.
        count: how many they are.
        given: where a person says that the source lies now: itself, or the folder that it is in.

    Raises:
        InputError: it is not where it was, or is another one by now.
    """
    recorded = recorded_source(pictures)
    if recorded is None:
        return None
    if given is not None and given.is_dir() and (given / recorded.path.name).exists():
        given = given / recorded.path.name
    path = find_source(pictures, given)
    if recorded.size_wh is not None:
        return Source(path, recorded.indices, recorded.size_wh)
    height, width = next(source_frames(path, recorded.indices[:1])).shape[:2]
    return Source(path, recorded.indices[:count], (width, height))


def class_list(
    objects: Iterable[tuple[str, Sequence[NamedObject]]], fixed: Classes | None
) -> tuple[ExportedClass, ...]:
    """The classes of an export: those of the data set, or the names of all objects' classes, sorted by code point.

    Args:
        objects: sequence -> its objects.
        fixed: what the data set's `classes.json` says; None if there is none.

    Raises:
        InputError: an object's class is not in the list that is fixed.
    """
    if fixed is None:
        names = sorted({each.class_name for _, those in objects for each in those})
        return tuple(ExportedClass(number, name) for number, name in enumerate(names, 1))
    for sequence, those in objects:
        for each in those:
            if fixed.called(each.class_name) is None:
                what = "no class" if each.class_name == NO_CLASS else f"the class {each.class_name!r}"
                raise InputError(
                    f"found {what} for object {each.id} of {sequence!r}, expected one of {CLASSES_JSON}: "
                    f"{', '.join(one.name for one in fixed)}; say it in {OBJECTS_JSON}, or list "
                    f"{each.class_name!r} there"
                )
    return tuple(ExportedClass(each.id, each.name, each.supercategory) for each in fixed)
