"""A run's view of a sequence: where it lies, its frames, its scribbles, and the plan of its anchors.

A snapshot is made once, and once more whenever a file that it was made from has changed: `snapshot_of` compares their
stamps. Its parts are found when they are asked for, since not every task needs all of them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from stages.core.plan import Plan
from stages.formats import requests
from stages.formats.digests import Stamp
from stages.formats.frames import Frames, list_frames
from stages.formats.layout import SequencePaths, find_sequence
from stages.formats.manifest import Json
from stages.formats.names import check_name, in_folder
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
            return ScribbleSet(self.paths.name, self.frame_count, {})
        return read_scribbles(self.scribble_file, self.paths.name, self.frame_count)

    @cached_property
    def painted(self) -> Mapping[int, Path]:
        """Painted pictures that are still to be read into the scribble set, by frame index."""
        return requests.pending_strokes(self.root, self._terms.scribbles, self.scribbles.annotated)

    @cached_property
    def plan(self) -> Plan:
        """The anchors: a pure function of what is annotated, and of what was asked for before."""
        issued = requests.issued_anchors(self.root, self.request_terms)
        painted = {index for index in self.painted if index < self.frame_count}
        annotated = tuple(sorted({*self.scribbles.annotated, *painted}))
        return plan(self.frame_count, annotated, self._terms.requests, self._terms.placement, issued)

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
    return _snapshot(place, terms, _fingerprint(place, terms))


_snapshot = lru_cache(maxsize=1024)(SequenceSnapshot)


def _scribble_file(place: Place, terms: Terms) -> Path:
    name = check_name(terms.scribbles, "scribble set")
    paths = paths_of(place)
    folder = in_folder(Path(terms.scribbles_root), paths.name) if terms.scribbles_root else paths.scribbles
    return in_folder(folder, f"{name}.json")


def _fingerprint(place: Place, terms: Terms | None) -> tuple[Any, ...]:
    """The stamps of everything that a snapshot is made from."""
    frames = paths_of(place).frames
    if terms is None:
        return (_seen(frames),)
    root = root_of(place)
    try:
        with os.scandir(root / requests.FOLDER) as entries:
            painted = tuple(sorted((entry.name, _seen(entry)) for entry in entries))
    except OSError:
        painted = ()
    return _seen(frames), _seen(_scribble_file(place, terms)), _seen(root / requests.REQUESTS_JSON), painted


def _seen(path: "Path | os.DirEntry[str]") -> Stamp | None:
    try:
        return Stamp.of(path.stat())
    except OSError:
        return None
