"""`Scribbles/<seq>/objects.json`: what the objects of a sequence are, said by the user; it lies beside scribble sets.

    {"schema": 1, "sequence": "dog", "objects": [
      {"id": 1, "name": "Rex", "class": "dog", "colour": "#800000", "first": 0, "last": 59,
       "attributes": {"occluded": false}}]}

Only `id` must be there. Without the file, and for objects that it does not list, there are defaults: see `Objects.of`.
Masks depend on none of it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, StrictBool, StrictFloat, StrictInt

from stages.core.errors import InputError, StageError
from stages.core.palette import MAX_OBJECT_ID, colour_of
from stages.formats import files, hand_written
from stages.formats.classes_json import CLASSES_JSON, Classes
from stages.formats.hand_written import COLOUR, NAME, Colour, Entry, Name, Text
from stages.formats.names import normal

OBJECTS_JSON: Final = "objects.json"
SCHEMA: Final = 1
NO_CLASS: Final = "object"
"""The class of an object that is given none."""
Attribute = str | int | float | bool


@dataclass(frozen=True)
class NamedObject:
    """An object of a sequence."""

    id: int
    """1..254, the number in masks and scribbles."""
    name: str
    """Any text of one line: a page escapes it, an XML writer quotes it."""
    class_name: str = NO_CLASS
    colour: str = ""
    """`#rrggbb`, for pages and tools. Masks and strokes have the palette's colour, whatever this one is."""
    first: int | None = None
    """The first frame on which it may be; None: open."""
    last: int | None = None
    """The last one."""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    def may_be_on(self, frame: int) -> bool:
        """Whether, by a person's word, it can be on a frame."""
        return (self.first is None or self.first <= frame) and (self.last is None or frame <= self.last)


@dataclass(frozen=True)
class Objects:
    """The objects of a sequence by id: listed ones, and defaults for all others."""

    listed: Mapping[int, NamedObject] = field(default_factory=dict)

    def of(self, object_id: int) -> NamedObject:
        """An object, listed or not: then it is called `object 3`, of the class `object`, in the palette's colour."""
        if object_id in self.listed:
            return self.listed[object_id]
        plain = _default(object_id)
        return plain if self.called(plain.name) is None else _default(object_id, f"{plain.name} ({object_id})")

    def called(self, name: str) -> NamedObject | None:
        """The listed object of this name, however Unicode spells it."""
        return next((each for each in self.listed.values() if normal(each.name) == normal(name)), None)

    @property
    def digest(self) -> str:
        """The sha256 of what is said, whatever its layout: for the keys of what shows it."""
        said = [as_json(each) for _, each in sorted(self.listed.items())]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


NAMELESS: Final = Objects()
"""What is known without a file."""
_Frame = Annotated[int, Field(ge=0)]
_FRAME: Final = "a frame number, counted from 0, or null"
_ATTRIBUTES: Final = "{'occluded': false, ...}: names of 1 to 100 characters, each with text, a number, true or false"


class _Object(Entry):
    id: Annotated[int, Field(ge=1, le=MAX_OBJECT_ID, description=f"a whole number in 1..{MAX_OBJECT_ID}")]
    name: Annotated[Name | None, Field(description=NAME)] = None
    class_: Annotated[Name | None, Field(alias="class", description=NAME)] = None
    colour: Annotated[Colour | None, Field(description=COLOUR)] = None
    first: Annotated[_Frame | None, Field(description=_FRAME)] = None
    last: Annotated[_Frame | None, Field(description=_FRAME)] = None
    attributes: Annotated[dict[Name, StrictBool | StrictInt | StrictFloat | Text], Field(description=_ATTRIBUTES)] = (
        Field(default_factory=dict)
    )


class _File(Entry):
    schema_: Annotated[int, Field(alias="schema", description=f"{SCHEMA}")]
    sequence: Annotated[str, Field(description="the name of the sequence")]
    objects: Annotated[
        list[_Object],
        Field(max_length=MAX_OBJECT_ID, description=f"a list of {MAX_OBJECT_ID} objects at most, [{{'id': 1}}, ...]"),
    ]


def read_objects(folder: Path, sequence: str, frame_count: int, classes: Classes | None = None) -> Objects:
    """What the objects of a sequence are.

    Args:
        folder: the sequence's folder of scribbles, where the set in use lies.
        sequence: its name.
        frame_count: of its video.
        classes: those of the data set, where it lists some: a class must be among them then.

    Returns:
        Those that the file lists; none without a file.

    Raises:
        InputError: the file is damaged, or says something that cannot be; in one line.
    """
    path = folder / OBJECTS_JSON
    text = hand_written.read_text(path)
    return NAMELESS if text is None else parse_objects(path, text, sequence, frame_count, classes)


def write_objects(
    folder: Path, sequence: str, frame_count: int, objects: Iterable[NamedObject], classes: Classes | None = None
) -> None:
    """Write the list of objects, by one rename; keys that nobody has changed stay as a person wrote them, or left out.

    Args:
        folder: the sequence's folder of scribbles; it is made.
        sequence: its name.
        frame_count: of its video.
        objects: all that are to be listed, in the order of the file.
        classes: see `read_objects`.

    Raises:
        InputError: the file that is there cannot be read, or what is to be written cannot be.
        StageError: it cannot be written (no room, no permission).
    """
    path = folder / OBJECTS_JSON
    before = read_objects(folder, sequence, frame_count)
    there = json.loads(hand_written.read_text(path) or '{"objects": []}')
    written = {each["id"]: each for each in there["objects"]}
    entries = []
    for each in objects:
        old, new = as_json(before.of(each.id)), as_json(each)
        changed = {key: value for key, value in new.items() if value != old[key]}
        entries.append({"id": each.id, **written.get(each.id, {}), **changed})
    head = json.dumps({"schema": SCHEMA, "sequence": there.get("sequence", sequence)}, ensure_ascii=False)[:-1]
    rows = ",\n".join(f"  {json.dumps(entry, ensure_ascii=False)}" for entry in entries)
    text = f'{head}, "objects": [\n{rows}]}}\n'
    parse_objects(path, text, sequence, frame_count, classes)
    try:
        files.make_folder(folder)
        files.replace(path, text)
    except OSError as error:
        raise StageError(
            f"{path}: the objects cannot be written: {error.strerror}; make room or allow it, or keep scribbles in "
            "another folder: --scribbles-root"
        ) from error


def parse_objects(path: Path, text: str, sequence: str, frame_count: int, classes: Classes | None = None) -> Objects:
    """What the text of such a file says, wherever it comes from; `path` is for messages, see `read_objects`."""
    said = hand_written.understand(path, text, _File, SCHEMA, _Object)
    if normal(said.sequence) != normal(sequence):
        raise InputError(
            f"{path}: found objects of the sequence {said.sequence!r}, expected {sequence!r}; take the file of this "
            "sequence, or correct its key 'sequence'"
        )
    hand_written.check_unique(path, "id", [each.id for each in said.objects])
    for each in said.objects:
        _check_stay(path, each, frame_count)
        if each.class_ is not None and classes is not None and classes.called(each.class_) is None:
            known = [known.name for known in classes]
            raise InputError(
                f"{path}: found the class {each.class_!r} of object {each.id}, expected one of {CLASSES_JSON}: "
                f"{hand_written.nearest(each.class_, known)} Correct it, or list it there"
            )
    listed = {each.id: _named(each) for each in said.objects}
    hand_written.check_unique(path, "name", [each.name for each in listed.values()])
    return Objects(listed)


def _check_stay(path: Path, said: _Object, frame_count: int) -> None:
    first, last = said.first or 0, frame_count - 1 if said.last is None else said.last
    if not first <= last < frame_count:
        raise InputError(
            f"{path}: found object {said.id} on the frames {first} to {last}, expected 'first' <= 'last' within "
            f"0..{frame_count - 1}, the frames of the video; correct them"
        )


def _named(said: _Object) -> NamedObject:
    class_name = said.class_ or NO_CLASS
    return NamedObject(
        id=said.id,
        name=said.name or f"{class_name} {said.id}",
        class_name=class_name,
        colour=(said.colour or colour_of(said.id)).lower(),
        first=said.first,
        last=said.last,
        attributes=said.attributes,
    )


def _default(object_id: int, name: str = "") -> NamedObject:
    return NamedObject(object_id, name or f"{NO_CLASS} {object_id}", colour=colour_of(object_id))


def as_json(named: NamedObject) -> dict[str, Any]:
    """An object as the file has it, with every key."""
    return {
        "id": named.id,
        "name": named.name,
        "class": named.class_name,
        "colour": named.colour,
        "first": named.first,
        "last": named.last,
        "attributes": dict(named.attributes),
    }
