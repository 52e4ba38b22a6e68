"""JSON files that people write by hand: read strictly, and what is wrong with one is told in a line that says where.

Each is an object with a version, and a list of entries under one key. Models say what is expected of a field as its
description; keys that they do not have are refused, since a key that is misspelt would be passed over.
"""

import codecs
import difflib
import reprlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from stages.core.errors import InputError
from stages.formats import files
from stages.formats.json_files import parse_json
from stages.formats.names import normal

MOST_BYTES: Final = 1 << 20
_ENDS: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff"
"""Control characters, what ends a line, and what no XML can hold."""
Text = Annotated[str, StringConstraints(pattern=rf"^[^{_ENDS}]*$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=rf"^[^{_ENDS}]*[^{_ENDS}\s][^{_ENDS}]*$")]
Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]
NAME: Final = "text of 1 to 100 characters, of any language, without control characters"
COLOUR: Final = "a colour like '#800000'"


class Entry(BaseModel):
    """One of a file's list; what checks it is built when the first file is read."""

    model_config = ConfigDict(defer_build=True, strict=True, extra="forbid")

    @classmethod
    def keys(cls) -> dict[str, str]:
        """What may stand in it, and what is expected there."""
        return {field.alias or name: field.description or "" for name, field in cls.model_fields.items()}


Whole = TypeVar("Whole", bound=Entry)


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str | None:
    """The text of such a file; None if there is none.

    Raises:
        InputError: it is too large, no UTF-8, or cannot be read.
    """
    try:
        if (size := files.stat_of_file(path).st_size) > most_bytes:
            raise InputError(f"{path}: found {size:,} bytes, expected at most {most_bytes:,}; shorten it")
        return path.read_bytes().removeprefix(codecs.BOM_UTF8).decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: found bytes that are no UTF-8 ({error.reason}); save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; allow it, or remove it") from None


def understand(path: Path, text: str, whole: type[Whole], schema: int, listed: type[Entry]) -> Whole:
    """Check what such a file says.

    Args:
        path: the file, for messages.
        text: its text.
        whole: what it is; its fields are `schema` and others, of which one is a list of `listed`.
        schema: the version that is read.
        listed: an entry of the list.

    Raises:
        InputError: it is something else.
    """
    try:
        found = parse_json(text)
    except ValueError as error:
        raise InputError(f"{path}: {_no_json(error)}, expected JSON; correct the file") from None
    if isinstance(found, dict) and "schema" in found:
        version = found["schema"]
        if type(version) is not int or version < 1:
            raise InputError(f"{path}: found schema {reprlib.repr(version)}, expected {schema}; correct the file")
        if version != schema:
            raise InputError(f"{path}: found schema {version}, expected {schema}; update the program")
    try:
        return whole.model_validate(found)
    except ValidationError as error:
        details = error.errors(include_url=False)
        first = next((each for each in details if each["type"] == "extra_forbidden"), details[0])
        raise InputError(f"{path}: {_explain(first, whole, listed)}; correct the file") from None


def check_unique(path: Path, what: str, values: Sequence[Any]) -> None:
    """Refuse a file in which two entries have the same; texts are compared in their normal form.

    Raises:
        InputError: two have.
    """
    seen = set()
    for value in values:
        key = normal(value) if isinstance(value, str) else value
        if key in seen:
            raise InputError(f"{path}: found the {what} {value!r} twice, expected it once; correct the file")
        seen.add(key)


def nearest(word: str, known: Iterable[str]) -> str:
    """A question for the known word that is most like this one; nothing if none is known."""
    near = difflib.get_close_matches(word[:100], [*known], n=1, cutoff=0.0)
    return f"did you mean {near[0]!r}?" if near else ""


def _no_json(error: ValueError) -> str:
    said = str(error)
    return said.partition(", expected")[0] if said.startswith("found ") else f"found something else ({said})"


def _explain(error: ErrorDetails, whole: type[Entry], listed: type[Entry]) -> str:
    place, model = error["loc"], whole
    where = ""
    if len(place) > 1:
        where, model = f" in {place[0]}[{place[1]}]", listed
        place = place[2:]
    key = str(place[0]) if place else ""
    if error["type"] == "extra_forbidden":
        known = model.keys()
        return f"found the key {reprlib.repr(key)}{where}, {nearest(key, known)} expected {', '.join(known)}"
    found = "nothing" if error["type"] == "missing" else reprlib.repr(error["input"])
    inside = "".join(f", {part!r}" for part in place[1:2])
    said = f"found {found}" + (f" as {key!r}{inside}" if key else "") + where
    return f"{said}, expected {model.keys().get(key) or 'an object with the keys ' + ', '.join(model.keys())}"
