"""What a sequence on the disk gives to an export: its result, its pictures, and what its objects are called."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stages.core.errors import InputError
from stages.exchange.format import ExportedClass, ExportedObject
from stages.formats.classes_json import CLASSES_JSON, Classes
from stages.formats.objects_json import NO_CLASS, OBJECTS_JSON, NamedObject


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
    size_wh: tuple[int, int]
    """Of pictures and masks, in pixels."""
    anchors: tuple[int, ...]
    """The frames that a person annotated, as far as the result was made from them."""
    objects: tuple[NamedObject, ...]
    """By id."""
    classes: tuple[ExportedClass, ...]
    """The whole export's list."""

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
        """Of what is said of the objects, the classes and the names of pictures: what masks do not depend on."""
        said = [[asdict(each) for each in self.objects], [asdict(each) for each in self.classes], self.names]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


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
