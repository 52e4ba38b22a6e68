"""`Scribbles/<seq>/<set>.review.json`: which masks people have looked at and found right.

    {"schema": 1, "sequence": "dog",
     "result": [{"first": 0, "by": "anna", "at": "2030-01-31T12:00:00Z", "sha256": ["9f2c...", "77aa..."]}],
     "anchors": [{"first": 12, "by": "anna", "at": "2030-01-31T11:58:10Z", "sha256": ["41d0..."]}]}

`result` is about the masks of `masks/`, `anchors` about those of `anchor_masks/`. An entry approves a run of frames,
from `first` on: for each of them, it has the sha256 of the file of the mask that was seen. An approval holds as long as
the mask is that one; `stages.steps.review` tells which do. It is people's work, so it lies beside the scribble set.

Several programs may write at once, as with drafts: each says which version it has seen, and is refused if there is
another one.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from stages.core.errors import InputError, StageError
from stages.formats import files, hand_written
from stages.formats.hand_written import Entry, Text
from stages.formats.json_files import MOST_BYTES
from stages.formats.manifest import Json
from stages.formats.names import normal
from stages.formats.scribbles import Digest, FrameIndex
from stages.formats.turns import my_turn

SCHEMA: Final = 1
REVIEW: Final = ".review.json"
NEW: Final = ""
"""The tag of a review that is not there yet."""
LONGEST_NAME: Final = 200


class Approval(NamedTuple):
    """Somebody has found a mask right."""

    digest: str
    """The sha256 of its file."""
    by: str
    at: str
    """2030-01-31T12:00:00Z"""


Approvals = Mapping[int, Approval]
"""Frame -> the approval of its mask, ascending."""


@dataclass(frozen=True)
class Review:
    """What people found right, whether it holds or not."""

    result: Approvals = field(default_factory=dict)
    anchors: Approvals = field(default_factory=dict)
    tag: str = NEW
    """Another one for each version."""

    def revised(self, change: Callable[[Approvals], Approvals], *, anchors: bool) -> "Review":
        """With other approvals of the anchors' masks, or of the result's."""
        return replace(self, anchors=change(self.anchors)) if anchors else replace(self, result=change(self.result))


class ReviewChangedError(StageError):
    """Somebody else has written the review meanwhile; nothing was changed."""


class Run(NamedTuple):
    """Neighbouring frames that the same person has approved at the same time."""

    first: int
    last: int
    by: str
    at: str


def in_runs(approvals: Approvals) -> list[Run]:
    """Approvals in short, ascending."""
    found: list[Run] = []
    for index, (_, by, at) in sorted(approvals.items()):
        before = found[-1] if found else None
        if before is not None and (before.last + 1, before.by, before.at) == (index, by, at):
            found[-1] = before._replace(last=index)
        else:
            found.append(Run(index, index, by, at))
    return found


def review_file(scribble_file: Path) -> Path:
    """Where the review of a scribble set's masks lies: beside its file."""
    return scribble_file.with_name(f"{scribble_file.stem}{REVIEW}")


def read_review(path: Path, sequence: str) -> Review:
    """What such a file says; nothing is approved where there is none.

    Raises:
        InputError: it cannot be read, is of another sequence or of a newer version, or says what cannot be.
    """
    text = hand_written.read_text(path, MOST_BYTES)
    if text is None:
        return Review()
    said = hand_written.understand(path, text, _File, SCHEMA, _Entry)
    if normal(said.sequence) != normal(sequence):
        raise InputError(
            f"{path}: found a review of {said.sequence[:100]!r}, expected one of {sequence!r}; move it away"
        )
    return Review(_approvals(path, said.result), _approvals(path, said.anchors), _tag(text))


def change_review(
    scribble_file: Path, sequence: str, change: Callable[[Review], Review], seen: str | None = None
) -> Review:
    """Write a review, by one rename.

    Args:
        scribble_file: the set's; it need not exist.
        sequence: whose masks they are.
        change: what is to be approved besides, or is not any more.
        seen: the tag of the version that this goes on from; None: whichever is there.

    Returns:
        What the file says now.

    Raises:
        ReviewChangedError: there is another version; nothing was changed.
        InputError: what is there cannot be read, or a name cannot be.
        StageError: the disk refuses.
    """
    path = review_file(scribble_file)
    with my_turn(path.with_name(f".{path.name}.lock"), "the review"):
        present = read_review(path, sequence)
        if seen is not None and present.tag != seen:
            raise ReviewChangedError(
                f"{path}: found another version than the one that was seen; look at what is there now, and decide"
            )
        changed = change(present)
        if changed == present:
            return present
        text = _text(sequence, changed)
        hand_written.understand(path, text, _File, SCHEMA, _Entry)  # what cannot be read again is not written
        files.sweep_beside(path)
        files.replace(path, text)
    return Review(changed.result, changed.anchors, _tag(text))


class _Entry(Entry):
    first: Annotated[FrameIndex, Field(description="the index of a frame, from 0")]
    by: Annotated[Text, Field(max_length=LONGEST_NAME, description=f"a name of {LONGEST_NAME} characters at most")]
    at: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", description="a time: 2030-01-31T12:00:00Z")]
    sha256: Annotated[list[Digest], Field(min_length=1, description="the sha256 of each frame's mask, in order")]


class _File(Entry):
    schema_: Annotated[int, Field(alias="schema", description=f"{SCHEMA}")]
    sequence: Annotated[str, Field(description="the name of the sequence")]
    result: Annotated[list[_Entry], Field(description="a list of approvals", default_factory=list)]
    anchors: Annotated[list[_Entry], Field(description="a list of approvals", default_factory=list)]


def _approvals(path: Path, entries: list[_Entry]) -> Approvals:
    found: dict[int, Approval] = {}
    for entry in entries:
        for index, digest in enumerate(entry.sha256, entry.first):
            if index in found:
                raise InputError(f"{path}: found frame {index} approved twice, expected it once; correct the file")
            found[index] = Approval(digest, entry.by, entry.at)
    return dict(sorted(found.items()))


def _text(sequence: str, review: Review) -> str:
    listed = {"result": _entries(review.result), "anchors": _entries(review.anchors)}
    return json.dumps({"schema": SCHEMA, "sequence": normal(sequence), **listed}, ensure_ascii=False) + "\n"


def _entries(approvals: Approvals) -> list[Json]:
    return [
        {"first": first, "by": by, "at": at, "sha256": [approvals[i].digest for i in range(first, last + 1)]}
        for first, last, by, at in in_runs(approvals)
    ]


def _tag(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
