"""A run's view of a sequence: where it lies, its frames, its scribbles, and the plan of its anchors.

A snapshot is made once, and once more whenever a file that it was made from has changed: `snapshot_of` compares their
stamps. Its parts are found when they are asked for, since not every task needs all of them.
"""

import multiprocessing
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from stages.core.errors import InputError
from stages.core.plan import Plan
from stages.formats import paintings, requests
from stages.formats.classes_json import CLASSES_JSON, read_classes
from stages.formats.digests import Stamp
from stages.formats.files import sha256
from stages.formats.frames import Frames, list_frames
from stages.formats.given_masks import given_frames, masks_folder
from stages.formats.layout import SequencePaths, find_sequence
from stages.formats.links import broken_link
from stages.formats.manifest import Json
from stages.formats.names import check_name, in_folder
from stages.formats.objects_json import NAMELESS, OBJECTS_JSON, Objects, read_objects
from stages.formats.scribble_sets import NO_SETS, sets_in
from stages.formats.scribbles import ScribbleSet, read_scribbles
from stages.steps.place_anchors import plan
from tasks.runtime.home import Home, find_home


@dataclass(frozen=True)
class Place:
    """Where a sequence is looked for."""

    data_root: str
    outputs_root: str
    dataset: str
    """Empty: all of them, if the name is found once."""
    seq: str


@dataclass(frozen=True)
class Terms:
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
    is_held: bool = False
    """Whether it is that of a run's task, and pictures or masks have changed since the run began: see `hold_still`."""

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
        return list_frames(self.paths.frames)

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
        if not self.scribble_file.exists():
            self._check_founding()
            return ScribbleSet(self.paths.name, self.frame_count, {})
        return read_scribbles(self.scribble_file, self.paths.name, self.frame_count)

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
        if self.given:
            return
        others = sets_in(file.parent)
        if others and not terms.new_set and not requests.has_asked_for(self.root, terms.scribbles):
            raise InputError(
                f"{file}: found no such scribble set, expected one of those that are there: {', '.join(others)}; give "
                f"--scribbles {others[0]}, or --new-set to begin a set named {terms.scribbles!r}"
            )

    @cached_property
    def painted(self) -> Mapping[int, tuple[Path, ...]]:
        """Painted pictures that are still to be read into the scribble set: frame index -> the one that counts first.

        For the tasks of a run, those that lay there when it began: what is painted meanwhile waits for the next run.
        """
        annotated = self.annotated
        found = paintings.pending(self.root, self._terms.scribbles, annotated, self.frame_files, self._asked_by)
        if not self.is_held:
            return found
        held = _held[self.place, self._terms].painted
        kept = {
            index: tuple(
                path
                for path in paths
                if path.name in held
                and (
                    index not in (self.given if paintings.is_mask(path) else annotated)
                    or _seen(path) == held[path.name]
                )
            )
            for index, paths in found.items()
        }
        return {index: paths for index, paths in kept.items() if paths}

    @cached_property
    def given(self) -> Mapping[int, GivenMask]:
        """The masks that were given with the scribble set: frame index -> mask.

        For the tasks of a run, those that lay there when it began, and those that were read from `requests/` since.
        """
        if self.is_held:
            began_with = _held[self.place, self._terms]
            read = [int(name.partition(".")[0]) for name in began_with.painted if paintings.is_mask(Path(name))]
            paths = {index: masks_folder(self.scribble_file) / f"{index:05d}.png" for index in read}
            return {**began_with.given, **{i: _given_mask(path) for i, path in paths.items() if path.is_file()}}
        found = given_frames(self.scribble_file)
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
        waiting = self.painted.get(index, ())
        if index in self.given or any(map(paintings.is_mask, waiting)):
            return False
        drawn = self.scribbles
        return bool(waiting) or index not in drawn.corrects or bool(drawn.frame(index).lines)

    @cached_property
    def annotated(self) -> tuple[int, ...]:
        """The frames that the set annotates, by strokes or by masks, ascending."""
        return tuple(sorted({*self.scribbles.annotated, *self.given}))

    @cached_property
    def of_other_sets(self) -> Mapping[str, list[str]]:
        """Paintings that are for other scribble sets, and are passed over: set -> their names."""
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
        painted = {index for index in self.painted if index < self.frame_count}
        annotated = tuple(sorted({*self.annotated, *painted}))
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


def snapshot_of(place: Place, terms: Terms | None) -> SequenceSnapshot:
    """The view of a sequence as its files are now.

    Raises:
        InputError: see `paths_of`.
    """
    fingerprint = _fingerprint(place, terms)
    began_with = _held.get((place, terms)) if multiprocessing.parent_process() is not None else None
    return _snapshot(place, terms, fingerprint, began_with is not None and began_with.saw != fingerprint[-2:])


_snapshot = lru_cache(maxsize=1024)(SequenceSnapshot)


def hold_still(place: Place, terms: Terms) -> None:
    """Note which paintings wait and which masks are given now, so that processes forked from this one see no others.

    Raises:
        LisError: see `SequenceSnapshot`.
    """
    if multiprocessing.parent_process() is None or (place, terms) not in _held:
        now = snapshot_of(place, terms)
        pictures = [path for paths in now.painted.values() for path in paths]
        painted = {path.name: _seen(path) for path in pictures}
        _held[place, terms] = _BeganWith(now.fingerprint[-2:], painted, now.given)


class _BeganWith(NamedTuple):
    saw: tuple[Any, ...]
    """The stamps of everything in the folders of requests and of given masks."""
    painted: Mapping[str, Stamp | None]
    """The paintings that wait, by name."""
    given: Mapping[int, GivenMask]


_held: dict[tuple[Place, Terms | None], _BeganWith] = {}
"""What a run began with."""


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


def _fingerprint(place: Place, terms: Terms | None) -> tuple[Any, ...]:
    """The stamps of everything that a snapshot is made from."""
    frames = paths_of(place).frames
    if terms is None:
        return (_seen(frames),)
    root = root_of(place)
    scribble_file = _scribble_file(place, terms)
    names = scribble_file.parent / OBJECTS_JSON, paths_of(place).dataset_folder / CLASSES_JSON
    seen = [_seen(each) for each in (frames, scribble_file, *names, root / paintings.REQUESTS_JSON)]
    return *seen, _inside(root / paintings.FOLDER), _inside(masks_folder(scribble_file))


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
