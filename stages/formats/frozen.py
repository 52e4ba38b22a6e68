"""`outputs/<seq>/.frozen/<set>/`: what people said when a run began, for that run to read.

    frozen.json         which files it was made from, and what was not copied
    001.json            the scribble set
    001.masks/          the given masks
    001.drafts/         the drafts that were ready
    001.review.json     what was approved
    requests/           the painted pictures that wait to be read

What is saved while the run works is in none of it, and waits for the next run. It appears by one rename; workers of one
central scheduler share it. Copies, no links: programs overwrite pictures in place. It goes with the last run to leave.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from stages.core.errors import StageError
from stages.formats import files
from stages.formats.draft_json import Draft
from stages.formats.drafts import draft_file, drafts_folder, mask_of_draft, read_drafts
from stages.formats.given_masks import masks_folder
from stages.formats.json_files import read_json
from stages.formats.paintings import FOLDER
from stages.formats.review_json import review_file

FROZEN: Final = ".frozen"
_FROZEN_JSON: Final = "frozen.json"
_PNG_END: Final = b"IEND\xaeB`\x82"


@dataclass(frozen=True)
class Waiting:
    """What people said that is not in the scribble set yet."""

    painted: Mapping[int, tuple[Path, ...]] = field(default_factory=dict)
    """Painted pictures by frame, the one that counts first."""
    drafts: Mapping[int, Draft] = field(default_factory=dict)
    """Drafts that are to be merged, by frame."""
    settled: Mapping[int, Draft] = field(default_factory=dict)
    """Drafts that are in the set already, and have only to go."""
    contrary: Mapping[int, Draft] = field(default_factory=dict)
    """Drafts that say something else than the set, which has changed since drawing began."""

    def __bool__(self) -> bool:
        return bool(self.painted or self.drafts or self.settled or self.contrary)


@dataclass(frozen=True)
class Live:
    """What lies there when a run begins."""

    scribble_file: Path
    """The set's; it may be missing."""
    set_digest: str | None
    """Its sha256; None: there is no set."""
    bases: Mapping[int, str]
    """What the set says of its frames, see `stages.formats.drafts.base_of`."""
    given: Sequence[Path]
    """The given masks, and what is noted of them."""
    waiting: Waiting
    beside: Mapping[int, Sequence[Path]]
    """Everything that was painted for the set, read or not, by frame."""
    of_other_sets: Mapping[str, Sequence[str]]
    """Paintings that are for other sets: set -> their names."""


@dataclass(frozen=True, eq=False)
class Frozen:
    """The copy."""

    folder: Path
    requests: Path
    """The folder that the painted pictures were copied from."""
    scribble_file: Path
    """The set that was copied."""

    @property
    def copy_of_set(self) -> Path:
        """The copy of the set; missing if there was none."""
        return self.folder / self.scribble_file.name

    @cached_property
    def _said(self) -> dict[str, Any]:
        path = self.folder / _FROZEN_JSON
        try:
            said: dict[str, Any] = read_json(path)
            return said
        except (OSError, ValueError) as error:
            raise StageError(f"{path}: the copy of what people said is gone ({error}); run the command again") from None

    @property
    def set_digest(self) -> str | None:
        """The sha256 of the set as it was; None: there was none."""
        digest: str | None = self._said["set"]
        return digest

    @property
    def bases(self) -> Mapping[int, str]:
        """What the set said of its frames."""
        return {int(index): base for index, base in self._said["bases"].items()}

    @property
    def of_other_sets(self) -> Mapping[str, list[str]]:
        """Paintings that are for other sets: set -> their names."""
        return {name: list(pictures) for name, pictures in self._said["of_other_sets"].items()}

    @property
    def beside(self) -> Mapping[int, list[Path]]:
        """Everything that was painted for the set, read or not, by frame."""
        return {int(index): [self.requests / name for name in names] for index, names in self._said["beside"].items()}

    def knew(self, name: str, digest: str) -> bool:
        """Whether a painted picture of that name and digest, or a draft of that file and tag, was there."""
        return bool(self._said["knew"].get(name) == digest)

    def waiting(self) -> Waiting:
        """What waits still: nothing after it was merged."""
        pictures = {
            int(index): tuple(path for path in (self.folder / FOLDER / name for name in names) if path.is_file())
            for index, names in self._said["painted"].items()
        }
        drafts = read_drafts(self.copy_of_set)
        kinds = (
            {index: draft for index, draft in drafts.items() if index in self._said[kind]}
            for kind in ("drafts", "settled", "contrary")
        )
        return Waiting({index: paths for index, paths in pictures.items() if paths}, *kinds)

    def nothing_waits(self) -> None:
        """What waited is merged."""
        files.delete_tree(self.folder / FOLDER)
        files.delete_tree(drafts_folder(self.copy_of_set))

    def told(self, message: str) -> str:
        """A message that names the files that were copied, not the copies."""
        copies = {self.folder / FOLDER: self.requests, self.folder: self.scribble_file.parent}
        for copy, original in copies.items():
            message = message.replace(f"{copy}", f"{original}")
        return message


def freeze(root: Path, live: Live, is_still: Callable[[], bool]) -> Frozen | None:
    """Copy what people said; where other workers of one central scheduler have done so, theirs counts.

    Args:
        root: the sequence's folder of results.
        live: what lies there.
        is_still: whether that still lies there; asked when everything is copied.

    Returns:
        The copy; None if something has changed meanwhile.

    Raises:
        OSError: a file cannot be copied, or the disk refuses.
    """
    name = live.scribble_file.stem
    frozen = Frozen(root / FROZEN / name, root / FOLDER, live.scribble_file)
    if frozen.folder.is_dir():
        return frozen
    files.make_folder(frozen.folder.parent)
    place = files.beside(frozen.folder)
    files.delete_tree(place)
    files.disk.mkdir(place)
    copy = Frozen(place, root / FOLDER, live.scribble_file)
    try:
        _fill(copy, live)
        if not is_still():
            files.delete_tree(place)
            return None
        files.sync_below(place)
        files.disk.rename(place, frozen.folder)
        files.sync(frozen.folder.parent)
    except OSError:
        files.delete_tree(place)
        if not frozen.folder.is_dir():
            raise
    return frozen


def thaw(root: Path) -> None:
    """Delete what was copied; call it with the sequence's lock held by nobody else."""
    files.delete_tree(root / FROZEN)


def is_whole(picture: Path) -> bool:
    """Whether a PNG has its end: one that is just being written has not."""
    with picture.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_PNG_END)))
        return file.read() == _PNG_END


def _fill(copy: Frozen, live: Live) -> None:
    waiting = live.waiting
    if live.set_digest is not None:
        files.copy(live.scribble_file, copy.copy_of_set)
    if (review := review_file(live.scribble_file)).exists():
        files.copy(review, review_file(copy.copy_of_set))
    pictures = [path for paths in waiting.painted.values() for path in paths]
    drafts = {**waiting.drafts, **waiting.settled, **waiting.contrary}
    of_drafts = [each for index in drafts for each in _files_of_draft(live.scribble_file, index)]
    for folder, paths in (
        (masks_folder(copy.copy_of_set), live.given),
        (copy.folder / FOLDER, pictures),
        (drafts_folder(copy.copy_of_set), of_drafts),
    ):
        if paths:
            files.disk.mkdir(folder)
        for path in paths:
            files.copy(path, folder / path.name)
    knew = {path.name: files.sha256(copy.folder / FOLDER / path.name) for path in pictures}
    said = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "file": str(live.scribble_file),
        "set": live.set_digest,
        "bases": dict(live.bases),
        "painted": {index: [path.name for path in paths] for index, paths in waiting.painted.items()},
        "drafts": [*waiting.drafts],
        "settled": [*waiting.settled],
        "contrary": [*waiting.contrary],
        "knew": {**knew, **{draft_file(live.scribble_file, index).name: draft.tag for index, draft in drafts.items()}},
        "beside": {index: [path.name for path in paths] for index, paths in live.beside.items()},
        "of_other_sets": {name: [*names] for name, names in live.of_other_sets.items()},
    }
    files.write(copy.folder / _FROZEN_JSON, files.json_text(said))


def _files_of_draft(scribble_file: Path, index: int) -> list[Path]:
    mask = mask_of_draft(scribble_file, index)
    return [draft_file(scribble_file, index), *([mask] if mask.exists() else [])]
