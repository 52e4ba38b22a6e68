"""`Scribbles/<seq>/<set>.drafts/`: what people are drawing on frames, before it is in the scribble set.

    001.json                 the scribble set
    001.drafts/00012.json    the draft of frame 12
    001.drafts/00012.png     its mask, if it is one: an indexed PNG

Several programs may write at once, on several hosts: each says which version of the draft it has seen, by its tag, and
is refused if there is another. Reading, comparing and writing happen with `.lock` held, a lock of the drafts alone; a
file appears by one rename.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from stages.core.errors import InputError, StageError
from stages.core.types import LabelMap
from stages.formats import files
from stages.formats.draft_json import Draft, DraftKind, DraftState, as_json, parse_draft
from stages.formats.masks import encoded_mask
from stages.formats.names import shown
from stages.formats.scribbles import ScribbleSet, canonical
from stages.formats.scribbles import read_limited as read_lines
from stages.formats.turns import my_turn

DRAFTS: Final = ".drafts"
LOCK: Final = ".lock"
NEW: Final = ""
"""The tag of a draft that is not there yet."""


class ChangedError(StageError):
    """Somebody else has written the draft meanwhile; nothing was changed."""

    def __init__(self, path: Path, present: Draft | None):
        super().__init__(
            f"{path}: found {'no draft' if present is None else f'version {present.revision}'}, expected the version "
            "that was seen; look at what is there now, and decide"
        )
        self.present = present
        """What is there now."""


# --- where, and what -------------------------------------------------------------------------------------------------


def drafts_folder(scribble_file: Path) -> Path:
    """Where the drafts of a scribble set lie: `<set>.drafts`, beside its file."""
    return scribble_file.with_name(f"{scribble_file.stem}{DRAFTS}")


def draft_file(scribble_file: Path, frame: int) -> Path:
    """The file of a frame's draft."""
    return drafts_folder(scribble_file) / f"{frame:05d}.json"


def mask_of_draft(scribble_file: Path, frame: int) -> Path:
    """The file of its mask; there if the draft's kind is `mask`."""
    return draft_file(scribble_file, frame).with_suffix(".png")


def base_of(scribbles: ScribbleSet, given: str, frame: int) -> str | None:
    """What a set says of a frame, as one digest: that of its strokes, where these are all.

    Args:
        scribbles: the set.
        given: the sha256 of the file of the mask that was given for the frame; empty: none was.
        frame: the frame's index.

    Returns:
        The digest; None if the set says nothing of the frame.
    """
    if frame not in scribbles.frames and not given:
        return None
    strokes = scribbles.strokes_digest(frame)
    more = [given, scribbles.corrects.get(frame, ""), *scribbles.absent.get(frame, ())]
    if not any(more):
        return strokes
    return hashlib.sha256(json.dumps([strokes, *more]).encode()).hexdigest()


# --- reading ---------------------------------------------------------------------------------------------------------


def read_draft(scribble_file: Path, frame: int) -> Draft | None:
    """The draft of a frame; None if there is none.

    Raises:
        InputError: it cannot be read, or says something that cannot be.
        NewerVersionError: a newer version of LIS has written it.
    """
    path = draft_file(scribble_file, frame)
    if not path.exists():
        return None
    draft = parse_draft(read_lines(path), path)
    if (draft.scribble_set, draft.frame) != (scribble_file.stem, frame):
        raise InputError(
            f"{path}: found a draft of frame {draft.frame} for the set {shown(draft.scribble_set)}, expected one of "
            f"frame {frame} for {scribble_file.stem}; move it to its place, or away"
        )
    return draft


def draft_frames(scribble_file: Path) -> list[int]:
    """The frames that have a draft, ascending; none if there is no such folder."""
    try:
        names = [path.name for path in drafts_folder(scribble_file).iterdir()]
    except OSError:
        return []
    stems = [name.removesuffix(".json") for name in names if name.endswith(".json") and name[:-5].isdecimal()]
    return sorted(int(stem) for stem in stems if stem == f"{int(stem):05d}")


def read_drafts(scribble_file: Path) -> Mapping[int, Draft]:
    """All drafts of a set: frame -> draft, ascending; errors as of `read_draft`."""
    found = ((frame, read_draft(scribble_file, frame)) for frame in draft_frames(scribble_file))
    return {frame: draft for frame, draft in found if draft is not None}


# --- writing ---------------------------------------------------------------------------------------------------------


def write_draft(scribble_file: Path, draft: Draft, seen: str, mask: LabelMap | None = None) -> Draft:
    """Write a draft, in the place of the version that was seen.

    What the set said when drawing began stays what the first version says, whatever this one does; unless there was a
    conflict: who decides it has seen the set.

    Args:
        scribble_file: the set's; it need not exist.
        draft: what the person says; its revision and time are set here.
        seen: the tag of the version that the person has seen; `NEW`: there was none.
        mask: (H, W) uint8 ids, of the frames' size, for a draft of the kind `mask`; None: as it was.

    Returns:
        The draft as it was written.

    Raises:
        ChangedError: there is another version; nothing was changed.
        InputError: it is to be a mask, and there is none; or what is in its place is no draft, or a link.
        StageError: the mask is no label map, or the disk refuses.
    """
    path, picture = draft_file(scribble_file, draft.frame), mask_of_draft(scribble_file, draft.frame)
    content = encoded_mask(picture, mask) if mask is not None else None
    with _alone(scribble_file):
        present = _seen(scribble_file, draft.frame, seen)
        if draft.kind == DraftKind.MASK and content is None and not picture.exists():
            raise InputError(f"{picture}: found no mask, expected that of the draft; send the mask")
        if present is not None and present.state != DraftState.CONFLICT:
            draft = replace(draft, base=present.base)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        draft = replace(draft, revision=present.revision + 1 if present else 1, saved_at=now)
        draft = replace(draft, lines=tuple(map(canonical, draft.lines)), mask_digest=_digest(draft, picture, content))
        for file in (path, picture):
            files.sweep_beside(file)
        if content is not None:  # before the draft that speaks of it
            _put(picture, content)
        _write(path, draft)
        if draft.kind != DraftKind.MASK:
            files.delete(picture)
    return draft


def set_state(scribble_file: Path, frame: int, state: DraftState, seen: str) -> Draft:
    """Call a draft ready, or not; arguments and errors as of `write_draft`.

    Raises:
        ChangedError: there is another version, or none.
    """
    draft = read_draft(scribble_file, frame)
    if draft is None:
        raise ChangedError(draft_file(scribble_file, frame), None)
    return write_draft(scribble_file, replace(draft, state=state), seen)


def discard_draft(scribble_file: Path, frame: int, seen: str) -> None:
    """Delete a draft and its mask.

    Raises:
        ChangedError: there is another version than the one that was seen.
        StageError: the disk refuses.
    """
    with _alone(scribble_file):
        _seen(scribble_file, frame, seen)
        _delete(scribble_file, frame)


def settle_draft(scribble_file: Path, promoted: Draft, base: str | None) -> None:
    """A draft is in the set now: it goes, unless somebody has drawn on; then that is drawn on the set as it is now.

    A draft that was discarded and begun anew meanwhile stays as it is.

    Args:
        scribble_file: the set's.
        promoted: the version that was merged.
        base: what the set says of the frame with it.

    Raises:
        StageError: the disk refuses.
    """
    with _alone(scribble_file):
        present = read_draft(scribble_file, promoted.frame)
        if present is None:
            return
        if present.tag == promoted.tag:
            _delete(scribble_file, promoted.frame)
        elif present.revision > promoted.revision and present.base == promoted.base:
            _write(draft_file(scribble_file, promoted.frame), replace(present, base=base))


def mark_conflict(scribble_file: Path, draft: Draft) -> None:
    """Say that the set speaks otherwise of the frame than when drawing began; a version that was not read stays.

    Raises:
        StageError: the disk refuses.
    """
    with _alone(scribble_file):
        present = read_draft(scribble_file, draft.frame)
        if present is not None and present.tag == draft.tag:
            changed = replace(present, state=DraftState.CONFLICT, revision=present.revision + 1)
            _write(draft_file(scribble_file, draft.frame), changed)


def _seen(scribble_file: Path, frame: int, seen: str) -> Draft | None:
    """What is there, which is what was seen."""
    present = read_draft(scribble_file, frame)
    if (NEW if present is None else present.tag) != seen:
        raise ChangedError(draft_file(scribble_file, frame), present)
    return present


def _digest(draft: Draft, picture: Path, content: files.Bytes | None) -> str:
    if draft.kind != DraftKind.MASK:
        return ""
    return files.sha256(picture) if content is None else hashlib.sha256(content).hexdigest()


def _write(path: Path, draft: Draft) -> None:
    _put(path, json.dumps(as_json(draft)) + "\n")


def _put(path: Path, content: files.Bytes | str) -> None:
    """Not through links: people make none here, and one that came with somebody's dataset may lead to any file."""
    for each in (path.parent, path):
        if each.is_symlink():
            raise InputError(f"{each}: found a link to {each.readlink()}, expected drafts themselves; remove the link")
    files.replace(path, content)


def _alone(scribble_file: Path) -> AbstractContextManager[None]:
    """No other program writes drafts of the set meanwhile."""
    return my_turn(drafts_folder(scribble_file) / LOCK, "the draft")


def _delete(scribble_file: Path, frame: int) -> None:
    files.delete(draft_file(scribble_file, frame))
    files.delete(mask_of_draft(scribble_file, frame))
