"""A run's view of a sequence: where it lies, its frames, its scribbles, and the plan of its anchors.

A snapshot is made once, and once more whenever a file that it was made from has changed: `snapshot_of` compares their
stamps. Its parts are found when they are asked for, since not every task needs all of them.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from stages.core.errors import InputError
from stages.core.plan import Plan
from stages.formats import paintings, requests
from stages.formats.classes_json import CLASSES_JSON, read_classes
from stages.formats.digests import Stamp
from stages.formats.draft_json import DraftKind
from stages.formats.drafts import draft_file, draft_frames, drafts_folder, mask_of_draft, read_drafts
from stages.formats.files import sha256
from stages.formats.frames import Frames, list_frames
from stages.formats.frozen import Frozen, Waiting
from stages.formats.given_masks import given_frames, masks_folder
from stages.formats.layout import SequencePaths, find_sequence
from stages.formats.links import broken_link
from stages.formats.manifest import Json
from stages.formats.names import check_name, in_folder
from stages.formats.objects_json import NAMELESS, OBJECTS_JSON, Objects, read_objects
from stages.formats.review_json import Review, read_review, review_file
from stages.formats.scribble_sets import NO_SETS, sets_in
from stages.formats.scribbles import ScribbleSet, read_scribbles
from stages.steps.drafts import sift
from stages.steps.place_anchors import plan
from stages.steps.seen import is_to_be_had, seen_in
from tasks.runtime import locks
from tasks.runtime.home import Home, find_home


class Place(NamedTuple):
    """Where a sequence is looked for."""

    data_root: str
    outputs_root: str
    dataset: str
    """Empty: all of them, if the name is found once."""
    seq: str


class Terms(NamedTuple):
    """What anchors are chosen from."""

    scribbles: str
    """Name of the scribble set."""
    scribbles_root: str
    """Empty: the dataset's own."""
    requests: int
    placement: str
    new_set: bool = False
    """Whether a set of this name may be founded beside others."""


class GivenMask(NamedTuple):
    """A mask that a person gave."""

    path: Path
    digest: str
    """The sha256 of the file."""


@dataclass(frozen=True)
class SequenceSnapshot:
    """What a run knows of a sequence.

    Its parts raise an InputError if a name is malformed, the sequence is not there, or a file cannot be used.
    """

    place: Place
    terms: Terms | None
    """None for tasks that know nothing of scribbles."""
    fingerprint: tuple[Any, ...]
    """Of the files that it was made from."""
    frozen: Frozen | None = None
    """What people said when the run began, for its tasks; None: what they say now counts."""

    def as_it_is_now(self) -> tuple[Any, ...]:
        """The same of the files as they are now; another one: something has changed."""
        return _fingerprint(self.place, self.terms, self.frozen)

    @cached_property
    def paths(self) -> SequencePaths:
        """Where pictures, ground truth and scribbles lie."""
        return paths_of(self.place)

    @cached_property
    def root(self) -> Path:
        """The sequence's folder of results."""
        return root_of(self.place)

    @cached_property
    def frame_files(self) -> list[Path]:
        """The pictures, in order."""
        return _frame_files(self.paths.frames, self.fingerprint[0])

    @property
    def frame_count(self) -> int:
        """Number of pictures."""
        return len(self.frame_files)

    @property
    def video(self) -> Frames:
        """The pictures, decoded when asked for."""
        return Frames(self.frame_files)

    @cached_property
    def scribble_file(self) -> Path:
        """The scribble set in use."""
        return _scribble_file(self.place, self._terms)

    @cached_property
    def scribbles(self) -> ScribbleSet:
        """The scribbles drawn so far; none if there is no file yet."""
        if not self.read_from.exists():
            if self.frozen is None:
                self._check_founding()
            return ScribbleSet(self.paths.name, self.frame_count, {})
        return read_scribbles(self.read_from, self.paths.name, self.frame_count)

    @property
    def read_from(self) -> Path:
        """The file that says what the set says: the set's, or the run's copy of it."""
        return self.frozen.copy_of_set if self.frozen else self.scribble_file

    @cached_property
    def objects(self) -> Objects:
        """What the objects are called; masks do not depend on it."""
        classes = read_classes(self.paths.dataset_folder)
        return read_objects(self.scribble_file.parent, self.paths.name, self.frame_count, classes)

    @cached_property
    def names(self) -> tuple[Objects, str]:
        """The same for what only shows them: a bad file is told in a line, and is as good as none."""
        try:
            return self.objects, ""
        except InputError as error:
            return NAMELESS, f"{error}. Until then objects have no names; masks need none"

    def _check_founding(self) -> None:
        """A broken link leads to a set that is there; a name never used, beside other sets, is more often misspelt."""
        file, terms = self.scribble_file, self._terms
        for path in (file, *file.parents):
            if broken := broken_link(path):
                raise InputError(f"{path}: found {broken}, expected scribbles; mend or remove the link")
        if self.given or draft_frames(file):
            return
        others = sets_in(file.parent)
        if others and not terms.new_set and not requests.has_asked_for(self.root, terms.scribbles):
            raise InputError(
                f"{file}: found no such scribble set, expected one of those that are there: {', '.join(others)}; give "
                f"--scribbles {others[0]}, or --new-set to begin a set named {terms.scribbles!r}"
            )

    @cached_property
    def waiting(self) -> Waiting:
        """What people said that is still to be merged into the set: painted pictures, and drafts that are ready."""
        if self.frozen is not None:
            return self.frozen.waiting()
        name = self._terms.scribbles
        painted = paintings.pending(self.root, name, self.annotated, self.frame_files, self._asked_by)
        drafts = read_drafts(self.scribble_file)
        digests = {index: mask.digest for index, mask in self.given.items()} if drafts else {}
        sifted = sift(drafts, self.scribbles, digests, self._mask_of_draft, self._can_correct)
        saved_last = {index for index in sifted.waiting if not self._is_older_than(index, painted.get(index, ()))}
        older = {index: draft for index, draft in sifted.waiting.items() if index not in saved_last}
        drafts = {index: sifted.waiting[index] for index in saved_last}
        return Waiting(painted, drafts, sifted.settled, {**sifted.contrary, **older})

    def _mask_of_draft(self, index: int) -> str:
        return sha256(mask_of_draft(self.scribble_file, index))

    def _can_correct(self, index: int, digest: str) -> bool:
        seen = seen_in(self.root, self._terms.scribbles, [path.name for path in self.frame_files])
        return is_to_be_had(self.scribble_file, seen, index, digest)

    def _is_older_than(self, index: int, pictures: Sequence[Path]) -> bool:
        drawn = draft_file(self.scribble_file, index).stat().st_mtime_ns
        return any(picture.stat().st_mtime_ns > drawn for picture in pictures)

    @property
    def painted(self) -> Mapping[int, tuple[Path, ...]]:
        """Painted pictures that are still to be read into the set: frame index -> the one that counts first."""
        return self.waiting.painted

    @cached_property
    def beside(self) -> Mapping[int, Sequence[Path]]:
        """Everything that was painted for the set, read or not, by frame."""
        if self.frozen is not None:
            return self.frozen.beside
        name, annotated = self._terms.scribbles, self.scribbles.annotated
        return paintings.of_set(self.root, name, annotated, self.frame_files, self._asked_by)

    @cached_property
    def given(self) -> Mapping[int, GivenMask]:
        """The masks that were given with the scribble set: frame index -> mask."""
        found = given_frames(self.read_from)
        if outside := [path for index, path in found.items() if index >= self.frame_count]:
            raise InputError(
                f"{outside[0]}: found a mask of a frame that does not exist, expected frames in "
                f"0..{self.frame_count - 1}, counted from 0; rename it, or move it out of the folder"
            )
        return {index: _given_mask(path) for index, path in found.items()}

    def needs_segmenter(self, index: int) -> bool:
        """Whether an annotated frame has anything to be segmented.

        Not where its mask is given or waits to be read, or where all that was said of one is which objects are absent.
        """
        if draft := self.waiting.drafts.get(index):
            return draft.kind != DraftKind.MASK and bool(draft.lines or not draft.corrects)
        waiting = self.painted.get(index, ())
        if index in self.given or any(map(paintings.is_mask, waiting)):
            return False
        drawn = self.scribbles
        return bool(waiting) or index not in drawn.corrects or bool(drawn.frame(index).lines)

    def is_guess(self, index: int) -> bool:
        """Whether masks of an annotated frame are an engine's: it was drawn on, and nobody has given its mask."""
        if not self.needs_segmenter(index):
            return False
        if draft := self.waiting.drafts.get(index):
            return bool(draft.lines)
        if pictures := self.painted.get(index):
            return not paintings.is_declared_empty(pictures[0])
        return bool(self.scribbles.frame(index).lines)

    @cached_property
    def review(self) -> Review:
        """Which masks people have approved, of those that were made from the set."""
        return read_review(review_file(self.read_from), self.paths.name)

    @cached_property
    def annotated(self) -> tuple[int, ...]:
        """The frames that the set annotates, by strokes or by masks, ascending."""
        return tuple(sorted({*self.scribbles.annotated, *self.given}))

    @cached_property
    def of_other_sets(self) -> Mapping[str, list[str]]:
        """Paintings that are for other scribble sets, and are passed over: set -> their names."""
        if self.frozen is not None:
            return self.frozen.of_other_sets
        found: dict[str, list[str]] = {}
        for index, paths in paintings.painted_pictures(self.root, self.scribbles.annotated, self.frame_files).items():
            for path in paths:
                name = paintings.set_of(self.root, self._terms.scribbles, self._asked_by, index, path)
                if name != self._terms.scribbles:
                    found.setdefault(name, []).append(path.name)
        return found

    @cached_property
    def _asked_by(self) -> Mapping[int, str]:
        return requests.asked_by(self.root)

    @cached_property
    def plan(self) -> Plan:
        """The anchors: a pure function of what is annotated, and of what was asked for before."""
        issued = requests.issued_anchors(self.root, self.request_terms)
        waiting = {index for index in {*self.painted, *self.waiting.drafts} if index < self.frame_count}
        annotated = tuple(sorted({*self.annotated, *waiting}))
        terms, declined = self._terms, requests.declined_frames(self.root, self.request_terms)
        return plan(self.frame_count, annotated, terms.requests, terms.placement, issued, declined)

    @cached_property
    def request_terms(self) -> Json:
        """Requests hold as long as these stay the same."""
        return {
            "scribbles": self._terms.scribbles,
            "requests": self._terms.requests,
            "placement": self._terms.placement,
            "frame_count": self.frame_count,
        }

    @property
    def _terms(self) -> Terms:
        assert self.terms is not None, "a task that knows nothing of scribbles asked for them"
        return self.terms


def paths_of(place: Place) -> SequencePaths:
    """Where a sequence lies; looked up once per process, since a command asks thousands of times.

    Raises:
        InputError: a name is malformed, or the sequence is not there.
    """
    return _paths(place.data_root, place.dataset, place.seq)


@lru_cache(maxsize=4096)
def _paths(data_root: str, dataset: str, seq: str) -> SequencePaths:
    return find_sequence(Path(data_root), seq, dataset or None)


def root_of(place: Place) -> Path:
    """A sequence's folder of results.

    Raises:
        InputError: see `paths_of`; or there is no place for results.
    """
    return home_of(place).folder


@lru_cache(maxsize=4096)
def home_of(place: Place) -> Home:
    """A sequence's folder of results, and what is to be told of it; looked up once per process.

    Raises:
        InputError: see `root_of`.
    """
    return find_home(Path(place.data_root), Path(place.outputs_root), paths_of(place))


def snapshot_of(place: Place, terms: Terms | None, *, live: bool = False) -> SequenceSnapshot:
    """The view of a sequence as its files are now; of what people said, as it was when this run began.

    Args:
        place: the sequence's.
        terms: what anchors are chosen from.
        live: whether what people say now counts in any case.

    Raises:
        InputError: see `paths_of`.
    """
    frozen = None
    if frozen_sets and not live and terms is not None:
        root = root_of(place)
        frozen = frozen_sets.get((root, terms.scribbles)) if locks.holds(root) else None
    return _snapshot(place, terms, _fingerprint(place, terms, frozen), frozen)


_snapshot = lru_cache(maxsize=1024)(SequenceSnapshot)

frozen_sets: dict[tuple[Path, str], Frozen] = {}
"""What this run, or the one that it was forked from, has frozen: the sequence's folder and the set -> its copy."""


@lru_cache(maxsize=1024)
def _frame_files(frames: Path, _stamp: Stamp | None) -> list[Path]:
    return list_frames(frames)


def _given_mask(path: Path) -> GivenMask:
    return GivenMask(path, _digest(path, _seen(path)))


@lru_cache(maxsize=1 << 16)
def _digest(path: Path, _stamp: Stamp | None) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise InputError(f"{path}: the mask cannot be read: {error.strerror}; put a file there, or allow it") from None


def _scribble_file(place: Place, terms: Terms) -> Path:
    name = check_name(terms.scribbles, "scribble set")
    if f"{name}.json".endswith(NO_SETS):
        raise InputError(
            f"found {terms.scribbles!r} as the name of a scribble set, expected another: its file is something else"
        )
    paths = paths_of(place)
    folder = in_folder(Path(terms.scribbles_root), paths.name) if terms.scribbles_root else paths.scribbles
    return in_folder(folder, f"{name}.json")


def _fingerprint(place: Place, terms: Terms | None, frozen: Frozen | None) -> tuple[Any, ...]:
    """The stamps of everything that a snapshot is made from."""
    frames = paths_of(place).frames
    if terms is None:
        return (_seen(frames),)
    root = root_of(place)
    scribble_file = _scribble_file(place, terms)
    names = scribble_file.parent / OBJECTS_JSON, paths_of(place).dataset_folder / CLASSES_JSON
    read_from = frozen.copy_of_set if frozen else scribble_file
    painted = (frozen.folder if frozen else root) / paintings.FOLDER
    files = frames, read_from, review_file(read_from), *names, root / paintings.REQUESTS_JSON
    seen = [_seen(each) for each in files]
    return *seen, *(_inside(each) for each in (painted, masks_folder(read_from), drafts_folder(read_from)))


def _inside(folder: Path) -> tuple[tuple[str, Stamp | None], ...]:
    try:
        with os.scandir(folder) as entries:
            shown = (entry for entry in entries if not entry.name.startswith("."))
            return tuple(sorted((entry.name, _seen(entry)) for entry in shown))
    except OSError:
        return ()


def _seen(path: "Path | os.DirEntry[str]") -> Stamp | None:
    try:
        return Stamp.of(path.stat())
    except OSError:
        return None
