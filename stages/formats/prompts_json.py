"""Clicks and boxes from elsewhere, for `lis import-prompts`.

    {"schema": 1, "sequence": "dog", "frames": [
      {"frame": 12, "objects": [{"id": 1, "points": [[0.41, 0.52, 1], [0.1, 0.1, 0]], "box": [0.3, 0.2, 0.6, 0.9]}]}]}

x and y are fractions of width and height, as in scribble files. A point is x, y and 1 (the object) or 0 (not the
object); a box is left, top, right, bottom.
"""

import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from stages.core.errors import InputError
from stages.core.palette import MAX_OBJECT_ID
from stages.core.strokes import Point
from stages.formats import files
from stages.formats.hand_written import check_unique
from stages.formats.json_files import read_json
from stages.formats.names import normal

SCHEMA: Final = 1
MOST_BYTES: Final = 32 << 20
Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of width and height."""


@dataclass(frozen=True)
class Prompt:
    """What was clicked on one object of a frame."""

    object_id: int
    positive: tuple[Point, ...]
    negative: tuple[Point, ...]
    box: Box | None


def read_prompts(path: Path, sequence: str, frame_count: int) -> dict[int, tuple[Prompt, ...]]:
    """Read clicks and boxes, and check them in full.

    Args:
        path: the JSON file.
        sequence: the name of the sequence that it must be of.
        frame_count: how many frames the sequence has.

    Returns:
        Frame index -> the prompts of its objects, in the order of the file.

    Raises:
        InputError: the file is missing, too large, no JSON, or says something that cannot be; in one line, with where.
    """
    try:
        files.stat_of_file(path)
        said = read_json(path, MOST_BYTES)
    except OSError as error:
        raise InputError(
            f"{path}: the prompts cannot be read: {error.strerror}; give a file of clicks and boxes"
        ) from None
    except ValueError as error:
        raise InputError(f"{path}: {_no_json(error)}; expected JSON with clicks and boxes; export it again") from None
    if isinstance(said, dict) and said.get("schema", SCHEMA) != SCHEMA:
        raise InputError(f"{path}: found schema {reprlib.repr(said['schema'])}, expected {SCHEMA}; update the program")
    try:
        content = _File.model_validate(said)
    except ValidationError as error:
        raise InputError(f"{path}: {_explain(error.errors(include_url=False)[0])}") from None
    if normal(content.sequence) != normal(sequence):
        raise InputError(
            f"{path}: found prompts of the sequence {content.sequence!r}, expected {sequence!r}; take the file of this "
            "sequence, or correct its key 'sequence'"
        )
    check_unique(path, "frame", [each.frame for each in content.frames])
    for each in content.frames:
        if each.frame >= frame_count:
            raise InputError(
                f"{path}: found the frame {each.frame}, expected frames in 0..{frame_count - 1}; correct it"
            )
        check_unique(path, f"object on frame {each.frame},", [prompt.id for prompt in each.objects])
        for prompt in each.objects:
            _check_prompt(path, each.frame, prompt)
    return {each.frame: tuple(map(_as_prompt, each.objects)) for each in content.frames}


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


_Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Prompt(_Strict):
    id: Annotated[int, Field(ge=1, le=MAX_OBJECT_ID)]
    points: Annotated[
        list[Annotated[tuple[_Fraction, _Fraction, Literal[0, 1]], Field(strict=False)]], Field(max_length=10_000)
    ] = []
    box: Annotated[tuple[_Fraction, _Fraction, _Fraction, _Fraction], Field(strict=False)] | None = None


class _Frame(_Strict):
    frame: Annotated[int, Field(ge=0)]
    objects: Annotated[list[_Prompt], Field(max_length=MAX_OBJECT_ID)]


class _File(_Strict):
    schema_: Annotated[int, Field(alias="schema")]
    sequence: str
    frames: list[_Frame]


_EXPECTED: Final = {
    "id": f"a whole number in 1..{MAX_OBJECT_ID}",
    "points": "points [x, y, 1 or 0], x and y as fractions in [0, 1] of the picture's width and height",
    "box": "[left, top, right, bottom] as fractions in [0, 1] of the picture's width and height",
    "frame": "a frame number, counted from 0",
    "objects": "a list of {'id': n, 'points': [...], 'box': [...]}",
    "schema": f"{SCHEMA}",
    "sequence": "the name of the sequence",
    "frames": "a list of {'frame': n, 'objects': [...]}",
}


def _check_prompt(path: Path, frame: int, prompt: _Prompt) -> None:
    where = f"{path}: frame {frame}, object {prompt.id}"
    if prompt.box is not None and not (prompt.box[0] < prompt.box[2] and prompt.box[1] < prompt.box[3]):
        raise InputError(
            f"{where}: found the box {list(prompt.box)}, expected left < right and top < bottom "
            "([left, top, right, bottom]); correct it"
        )
    if prompt.box is None and not any(positive for *_, positive in prompt.points):
        raise InputError(
            f"{where}: found neither a point on the object nor a box, expected one of them; add it, or leave the "
            "object out: then it is absent on this frame"
        )


def _as_prompt(said: _Prompt) -> Prompt:
    return Prompt(
        said.id,
        tuple((x, y) for x, y, positive in said.points if positive),
        tuple((x, y) for x, y, positive in said.points if not positive),
        said.box,
    )


def _no_json(error: ValueError) -> str:
    text = str(error)
    return text.partition(", expected")[0] if text.startswith("found ") else f"found something else ({text})"


def _explain(error: ErrorDetails) -> str:
    place = error["loc"]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
    where += ": " if where else ""
    key = next((part for part in reversed(place) if isinstance(part, str)), "")
    if error["type"] == "extra_forbidden":
        return f"found the key {where.removesuffix(': ')}, expected one of {', '.join(_EXPECTED)}; remove it"
    found = "nothing" if error["type"] == "missing" else reprlib.repr(error["input"])
    return f"{where}found {found}, expected {_EXPECTED.get(key, 'an object with a list of frames')}; correct the file"
