"""Which frame a name means that another program has for a picture.

Names come with folders before them or without, with slashes of either kind, other endings, a server's digits in front.
A mask on the wrong frame is worse than none: what is not certain is refused, and nothing is ever moved by one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Final

from stages.core.errors import InputError
from stages.core.words import and_so_on
from stages.exchange.incoming.protocol import Picture
from stages.formats.names import normal, shown

_LEFT_BEHIND: Final = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
"""What systems leave in folders and archives, beside names that begin with a dot."""
_IN_FRONT: Final = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the names of pictures that were uploaded."""
_BEHIND: Final = re.compile(r"(?P<stem>.+)_(?P<suffix>jpe?g|png|bmp|webp|tiff?)\.rf\.\w{8,}\.\w+", re.IGNORECASE)
"""What Roboflow makes of `00012.jpg`."""
_NUMBERED: Final = re.compile(r"(?P<text>.*?)(?P<number>\d+)")
_MOST_NAMED: Final = 5


@dataclass(frozen=True)
class FrameNames:
    """The names of a sequence's frames."""

    seq: str
    names: tuple[str, ...]
    """File names, by index."""

    def frame_of(self, name: str) -> int | None:
        """The frame that a file's name means: its own name, its stem, or its number if names are nothing else."""
        for spelled in _spellings(name):
            for key in (spelled, PurePosixPath(spelled).stem):
                if (index := self._by_name.get(key)) is not None:
                    return index
                if key.isascii() and key.isdigit() and (index := self._by_number.get(int(key))) is not None:
                    return index
        return None

    @cached_property
    def stems(self) -> list[str]:
        """By index."""
        return [PurePosixPath(normal(name)).stem for name in self.names]

    @property
    def span(self) -> str:
        """`00000.jpg ... 00059.jpg`."""
        return self.names[0] if len(self.names) == 1 else f"{self.names[0]} ... {self.names[-1]}"

    @cached_property
    def _by_name(self) -> dict[str, int]:
        by_stem = {stem: index for index, stem in enumerate(self.stems)}
        return {**by_stem, **{normal(name): index for index, name in enumerate(self.names)}}

    @cached_property
    def _by_number(self) -> dict[int, int]:
        if not all(stem.isascii() and stem.isdigit() for stem in self.stems):
            return {}
        return {int(stem): index for index, stem in enumerate(self.stems)}


@dataclass(frozen=True)
class Matched:
    """The pictures of a source that are frames of a sequence."""

    pictures: Mapping[int, Picture]
    """By frame."""
    said: tuple[str, ...]
    """What a person has to know of how they were found."""


@dataclass(frozen=True)
class _Named:
    """A picture with its name taken apart."""

    picture: Picture
    folders: tuple[str, ...]
    base: str

    @property
    def folder(self) -> str:
        return "/".join(self.folders)


def match(pictures: Iterable[Picture], frames: FrameNames, name_prefix: str = "", source: str = "") -> Matched:
    """Find out which frames pictures are.

    A picture in a folder of the sequence's name is a frame of it, whatever lies in other folders. Without such a
    folder all must lie in one. A whole video numbered from another number on is recognised if it has one picture for
    each frame.

    Args:
        pictures: as a reader gives them.
        frames: the sequence's.
        name_prefix: what names begin with, without which they are frames' names; others are left out.
        source: what messages call the source.

    Raises:
        InputError: names are no frames', two mean one frame, several folders have pictures of the same names, or the
            numbers show that they are counted otherwise than the frames; or a file is called as another frame than
            the one that it is about.
    """
    everything = [apart for picture in pictures if (apart := _taken_apart(picture, name_prefix)) is not None]
    named = [one for one, fits in everything if fits]
    said = _left_out([one for one, fits in everything if not fits], f"which do not begin with {name_prefix!r}")
    if everything and not named:
        first = everything[0][0].picture
        raise InputError(
            f"{first.where}: found the picture {_said(first.name)}, expected names that begin with {name_prefix!r}, as "
            "--name-prefix says; correct it"
        )
    own = [each for each in named if frames.seq in each.folders]
    if own:
        others = [each for each in named if each.folders and frames.seq not in each.folders]
        said += _left_out(others, f"which lie in {_list(sorted({each.folder for each in others}))}")
        named = own + [each for each in named if not each.folders]
    else:
        _check_one_folder(named, frames, source)
    found: dict[int, _Named] = {}
    unknown = []
    for each in named:
        index = frames.frame_of(each.base)
        _check_file(each, index, frames)
        if index is None:
            unknown.append(each)
        elif index not in found or (frames.seq in each.folders and frames.seq not in found[index].folders):
            found[index] = each
        elif frames.seq in each.folders or frames.seq not in found[index].folders:
            raise InputError(
                f"{each.picture.where}: found {_said(found[index].picture.name)} and {_said(each.picture.name)}, which "
                f"both are the frame {frames.names[index]} of {frames.seq!r}, expected one; remove one of the two"
            )
    if unknown:
        found = _in_order(named, unknown, frames)
        said.append(
            f"named {_said(found[0].base)} to {_said(found[len(found) - 1].base)}, one for each frame: taken as "
            f"{frames.span}, in their order"
        )
    return Matched({index: each.picture for index, each in sorted(found.items())}, tuple(said))


def _check_file(named: _Named, index: int | None, frames: FrameNames) -> None:
    """A file that is called as one frame, and says that it is about another, was copied or renamed."""
    picture = named.picture
    called = frames.frame_of(picture.lies_in) if picture.lies_in else None
    if None not in (called, index) and called != index:
        raise InputError(
            f"{picture.where}: found the picture {_said(picture.name)} in a file called {_said(picture.lies_in)}, "
            f"which are two frames of {frames.seq!r}, expected one; rename the file, or correct the name in it"
        )


def _taken_apart(picture: Picture, prefix: str) -> tuple[_Named, bool] | None:
    """A picture's name in folders and file, and whether it begins as it should; None of what systems leave behind."""
    path = normal(picture.name).replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    if not parts or any(part.startswith(".") or part.lower() in _LEFT_BEHIND for part in parts):
        return None
    prefix = normal(prefix).replace("\\", "/")
    path, base = "/".join(parts), parts[-1]
    if path.startswith(prefix):
        parts = [part for part in path[len(prefix) :].split("/") if part]
    elif base.startswith(prefix):
        parts[-1] = base[len(prefix) :]
    else:
        return _Named(picture, tuple(parts[:-1]), base), False
    if not parts or not parts[-1]:
        return _Named(picture, (), base), False
    return _Named(picture, tuple(parts[:-1]), parts[-1]), True


def _spellings(name: str) -> Iterator[str]:
    """A name as it is, then without what servers add to it."""
    yield name
    if inside := _BEHIND.fullmatch(name):
        yield f"{inside['stem']}.{inside['suffix']}"
    if _IN_FRONT.match(name):
        yield name[9:]


def _check_one_folder(named: Sequence[_Named], frames: FrameNames, source: str) -> None:
    """Several cameras have pictures of the same names: which of them is meant, nobody has said."""
    folders: dict[str, Picture] = {}
    for each in named:
        if frames.frame_of(each.base) is not None:
            folders.setdefault(each.folder, each.picture)
    if len(folders) > 1:
        names = sorted(folders)
        raise InputError(
            f"{source or folders[names[0]].where}: found pictures like {_said(folders[names[-1]].name)} in the folders "
            f"{_list([name or '(none)' for name in names])}, expected one of them to be called {frames.seq!r}; say "
            f"which is meant: --name-prefix {names[-1]}/"
        )


def _in_order(named: Sequence[_Named], unknown: Sequence[_Named], frames: FrameNames) -> dict[int, _Named]:
    """One picture for each frame, counted on from another number: the frames in their order; else an error."""
    numbers = _counted(each.base for each in named)
    first = unknown[0].picture
    if numbers is None or len(named) != len(frames.names):
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        counted = ""
        if numbers is not None and len(unknown) < len(named):
            counted = f"; they are numbered {min(numbers)} to {max(numbers)}, perhaps from another number on"
        raise InputError(
            f"{first.where}: found the picture {_said(first.name)}{more}, expected a frame of {frames.seq!r} "
            f"({frames.span}){counted}; give --name-prefix, or rename"
        )
    order = sorted(range(len(named)), key=numbers.__getitem__)
    return {index: named[place] for index, place in enumerate(order)}


def _counted(names: Iterable[str]) -> list[int] | None:
    """The numbers of names that differ in a number only, if these count on without a gap."""
    found = [_NUMBERED.fullmatch(PurePosixPath(name).stem) for name in names]
    matches = [each for each in found if each]
    numbers = [int(each["number"][-18:]) for each in matches]
    if len(matches) < len(found) or len({each["text"] for each in matches}) != 1:
        return None
    if sorted(numbers) != list(range(min(numbers), min(numbers) + len(numbers))):
        return None
    return numbers


def _left_out(others: Sequence[_Named], why: str) -> list[str]:
    if not others:
        return []
    return [f"{len(others)} other picture{'s' * (len(others) > 1)} left out, {why}"]


def _list(names: Sequence[str]) -> str:
    return and_so_on([*map(shown, names)], _MOST_NAMED)


def _said(name: str) -> str:
    name = shown(name)
    return repr(name if len(name) <= 80 else f"{name[:77]}...")
