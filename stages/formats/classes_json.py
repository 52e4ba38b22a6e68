"""`data/<dataset>/classes.json`: the classes of a data set, which fix the numbers that exports give them.

    {"schema": 1, "classes": [{"id": 1, "name": "dog", "supercategory": "animal", "colour": "#800000"}]}

Ids count from 1 and may leave gaps.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field

from stages.core.errors import InputError
from stages.core.palette import MAX_OBJECT_ID, colour_of
from stages.formats import hand_written
from stages.formats.hand_written import COLOUR, NAME, Colour, Entry, Name, Text
from stages.formats.names import normal

CLASSES_JSON: Final = "classes.json"
SCHEMA: Final = 1
_MOST: Final = 2**31 - 1


@dataclass(frozen=True)
class ListedClass:
    """A class of a data set."""

    id: int
    """From 1."""
    name: str
    """Unique."""
    supercategory: str = ""
    colour: str = ""
    """`#rrggbb`."""


@dataclass(frozen=True)
class Classes:
    """What the file says."""

    listed: tuple[ListedClass, ...]
    """By id."""

    def __iter__(self) -> Iterator[ListedClass]:
        """By id."""
        return iter(self.listed)

    def called(self, name: str) -> ListedClass | None:
        """The class of this name, however Unicode spells it."""
        return next((each for each in self.listed if normal(each.name) == normal(name)), None)

    @property
    def digest(self) -> str:
        """The sha256 of what is said, whatever its layout."""
        return hashlib.sha256(repr([astuple(each) for each in self.listed]).encode()).hexdigest()


class _Class(Entry):
    id: Annotated[int, Field(ge=1, le=_MOST, description=f"a whole number in 1..{_MOST:,}")]
    name: Annotated[Name, Field(description=NAME)]
    supercategory: Annotated[Text, Field(max_length=100, description=NAME)] = ""
    colour: Annotated[Colour, Field(description=COLOUR)] | None = None


class _File(Entry):
    schema_: Annotated[int, Field(alias="schema", description=f"{SCHEMA}")]
    classes: Annotated[list[_Class], Field(description="a list of classes, [{'id': 1, 'name': 'dog'}, ...]")]


def read_classes(dataset_folder: Path) -> Classes | None:
    """The classes of a data set; None if it lists none.

    Args:
        dataset_folder: `data/<dataset>`.

    Raises:
        InputError: the file is damaged, or says something that cannot be; in one line.
    """
    path = dataset_folder / CLASSES_JSON
    text = hand_written.read_text(path)
    if text is None:
        return None
    said = hand_written.understand(path, text, _File, SCHEMA, _Class)
    if not said.classes:
        raise InputError(f"{path}: found an empty list of classes, expected one at least; add it, or remove the file")
    hand_written.check_unique(path, "id", [each.id for each in said.classes])
    hand_written.check_unique(path, "name", [each.name for each in said.classes])
    return Classes(tuple(_listed(each) for each in sorted(said.classes, key=lambda each: each.id)))


def _listed(said: Any) -> ListedClass:
    colour = said.colour or colour_of((said.id - 1) % MAX_OBJECT_ID + 1)
    return ListedClass(said.id, said.name, said.supercategory, colour.lower())
