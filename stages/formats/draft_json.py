"""`Scribbles/<seq>/<set>.drafts/<frame>.json`: what a person is drawing on a frame, as its file says it.

    {"schema": 1, "sequence": "dog", "set": "001", "frame": 12, "state": "ready", "revision": 7, "base": null,
     "kind": "strokes", "lines": [{"object_id": 1, "path": [[0.41, 0.52]], "start_time": 0, "end_time": 1400}],
     "mask": null, "mask_sha256": "", "corrects": "", "absent": [], "from_boxes": [], "author": "anna",
     "saved_at": "2030-01-31T12:00:00Z"}

A draft is in one of three states: a `draft` is still drawn, a `ready` one counts as annotated and is merged into the
set by whoever does that next, and a `conflict` was ready for a frame that somebody else has changed in the set: a
person decides. `base` is what the set said of the frame when drawing began. Nothing in a draft is used as a path.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from stages.core.errors import InputError
from stages.core.strokes import Line
from stages.formats.names import normal
from stages.formats.schema import check_schema
from stages.formats.scribbles import Digest, FrameIndex, ObjectId, ScribbleLine, Strict, canonical, plain_ms

SCHEMA: Final = 1
_LONGEST_NAME: Final = 200


class DraftState(StrEnum):
    """What a draft is waiting for."""

    DRAFT = "draft"
    READY = "ready"
    CONFLICT = "conflict"


class DraftKind(StrEnum):
    """What a draft says of its frame."""

    STROKES = "strokes"
    MASK = "mask"
    EMPTY = "empty"


@dataclass(frozen=True)
class Draft:
    """What a person says of a frame."""

    sequence: str
    scribble_set: str
    frame: int
    kind: DraftKind = DraftKind.STROKES
    lines: tuple[Line, ...] = ()
    """Of strokes alone; none only where all that is said is which objects are absent."""
    state: DraftState = DraftState.DRAFT
    base: str | None = None
    """What the set said of the frame when drawing began, see `drafts.base_of`; None: nothing."""
    corrects: str = ""
    """The sha256 of the mask of the result that the strokes correct, if they do; as in a scribble set."""
    absent: tuple[int, ...] = ()
    """Objects that the person calls absent."""
    from_boxes: tuple[int, ...] = ()
    """Objects whose strokes were made from a box alone."""
    mask_digest: str = ""
    """The sha256 of the mask's file, of drafts that are one; it is set when the draft is written."""
    author: str = ""
    revision: int = 0
    """How often it was written."""
    saved_at: str = ""

    @property
    def says_nothing(self) -> bool:
        """Whether it would be strokes and has none: that nothing is there is said by the kind `empty`."""
        return self.kind == DraftKind.STROKES and not (self.lines or self.absent)

    @property
    def tag(self) -> str:
        """`<revision>-<digest>`: two versions of a draft that a person could tell apart have different ones.

        What the set says beneath it is no part of that: it may change while somebody draws on.
        """
        said = json.dumps({**as_json(self), "base": None})
        return f"{self.revision}-{hashlib.sha256(said.encode()).hexdigest()[:16]}"


# --- the file --------------------------------------------------------------------------------------------------------


def parse_draft(raw: bytes, path: Path) -> Draft:
    """A draft from its JSON, checked in full: its lines as those of a scribble file.

    Args:
        raw: UTF-8, bounded by the caller.
        path: what messages name.

    Raises:
        InputError: it says something that cannot be; the message tells where.
        NewerVersionError: a newer version of LIS has written it.
    """
    try:
        content = _DraftFile.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{path}: found {first['msg'][:200]}{f' at {where[:200]}' if where else ''}, expected a draft; draw it "
            "again, or move the file away"
        ) from None
    check_schema(path, content.schema_, SCHEMA)
    kind = DraftKind(content.kind)
    if kind != DraftKind.STROKES and content.lines:
        raise InputError(f"{path}: found lines in a draft of the kind {kind}, expected none; correct the file")
    lines = tuple(canonical(line.as_drawn()) for line in content.lines)
    absent, boxes = (tuple(sorted({*ids})) for ids in (content.absent, content.from_boxes))
    if both := sorted({*absent} & {line.object_id for line in lines}):
        raise InputError(f"{path}: found strokes of object {both[0]}, which is called absent, expected one of both")
    return Draft(
        content.sequence,
        content.set,
        content.frame,
        kind,
        lines,
        DraftState(content.state),
        content.base,
        content.corrects,
        absent,
        boxes,
        content.mask_sha256,
        content.author,
        content.revision,
        content.saved_at,
    )


class _DraftFile(Strict):
    schema_: int = Field(alias="schema")
    sequence: Annotated[str, Field(max_length=_LONGEST_NAME)]
    set: Annotated[str, Field(max_length=_LONGEST_NAME)]
    frame: FrameIndex
    state: Literal["draft", "ready", "conflict"]
    revision: Annotated[int, Field(ge=0)] = 0
    base: Digest | None = None
    kind: Literal["strokes", "mask", "empty"]
    lines: tuple[ScribbleLine, ...] = ()
    mask_sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    corrects: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    absent: tuple[ObjectId, ...] = ()
    from_boxes: tuple[ObjectId, ...] = ()
    author: Annotated[str, Field(max_length=_LONGEST_NAME)] = ""
    saved_at: Annotated[str, Field(max_length=40)] = ""


def as_json(draft: Draft) -> dict[str, object]:
    """What the file of a draft says."""
    return {
        "schema": SCHEMA,
        "sequence": normal(draft.sequence),
        "set": draft.scribble_set,
        "frame": draft.frame,
        "state": draft.state,
        "revision": draft.revision,
        "base": draft.base,
        "kind": draft.kind,
        "lines": lines_as_json(draft.lines),
        "mask": f"{draft.frame:05d}.png" if draft.kind == DraftKind.MASK else None,
        "mask_sha256": draft.mask_digest,
        "corrects": draft.corrects,
        "absent": draft.absent,
        "from_boxes": draft.from_boxes,
        "author": draft.author,
        "saved_at": draft.saved_at,
    }


def lines_as_json(lines: Iterable[Line]) -> list[dict[str, object]]:
    """Lines as the file of a draft says them."""
    return [
        {
            "object_id": line.object_id,
            "path": line.path,
            "start_time": plain_ms(line.start_ms),
            "end_time": plain_ms(line.end_ms),
        }
        for line in lines
    ]
