"""Masks of other tools become given masks of a sequence: what comes in is found out first, then all of it is written.

Only frames come back whose mask is another one than that of the result: a person who corrected 6 frames of 5,000 gives
6 anchors, and all others stay what they are.
"""

import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from stages.core.errors import InputError
from stages.core.progress import Progress, silent
from stages.core.types import Frame, LabelMap
from stages.core.words import and_so_on
from stages.exchange.incoming.composing import Objects, compose
from stages.exchange.incoming.matching import FrameNames, match
from stages.exchange.incoming.protocol import Picture, Reader
from stages.exchange.outgoing.handed_out import digest_of, note_handed_out
from stages.formats import files
from stages.formats.frames import pixel_digest
from stages.formats.given_for import note_given_for
from stages.formats.given_masks import given_frames, masks_folder, read_given, write_given
from stages.formats.masks import read_mask
from stages.formats.object_ids import ids_of
from stages.formats.results import result_file

_CLOSER: Final = 2
"""By how much a mask must be nearer to a neighbour's than to its own frame's to look like the neighbour's: by
little, since better masks than ours differ from ours on their own frames, too."""
_LISTED: Final = 12
_DONE_TO_PIXELS: Final = {
    "claimed_twice": "claimed twice: they went to the later shape",
    "cut_off": "outside of the picture: they were cut off",
    "unknown": "unknown (255): they took the id of the nearest other pixel",
}


@dataclass(frozen=True)
class Target:
    """The sequence that masks come in for."""

    frames: FrameNames
    size_wh: tuple[int, int]
    """Of its frames, in pixels."""
    scribble_file: Path
    """The set that masks are given with; the file need not exist."""
    result: Path | None
    """The folder of the masks that people have seen, `<stem>.png`; None if there is none yet."""
    objects: Objects
    handed_out: Mapping[int, Collection[str]] = field(default_factory=dict)
    """Frame -> digests of the masks that went out to be corrected, see `stages.exchange.outgoing.handed_out`."""


@dataclass(frozen=True)
class Wishes:
    """What of a source is wanted."""

    name_prefix: str = ""
    everything: bool = False
    """Also frames that do not differ."""
    frames: frozenset[int] = frozenset()
    """These and no others, whether they differ or not; none named: all that differ."""

    def has(self, frame: int) -> bool:
        """Whether a frame is looked at."""
        return not self.frames or frame in self.frames

    @property
    def takes_equal(self) -> bool:
        """Whether frames come in that do not differ."""
        return self.everything or bool(self.frames)


@dataclass(frozen=True)
class Arrival:
    """A frame that comes in."""

    frame: int
    changed_px: int
    """Pixels that differ from the result's mask; without one, those that are not background."""
    object_ids: tuple[int, ...]
    """Those with pixels."""
    _packed: bytes

    @classmethod
    def of(cls, frame: int, labels: LabelMap, changed_px: int) -> "Arrival":
        """Packed: thousands of them are kept until all were looked at."""
        present = tuple(each for each in ids_of(labels) if each)
        return cls(frame, changed_px, present, zlib.compress(labels.tobytes(), 1))

    def labels(self, size_wh: tuple[int, int]) -> LabelMap:
        """(H, W) uint8 ids."""
        return np.frombuffer(zlib.decompress(self._packed), np.uint8).reshape(size_wh[::-1])


@dataclass
class Findings:
    """What a source has for a sequence."""

    looked_at: int = 0
    """Frames of the sequence with a mask in it."""
    differing: int = 0
    """Those whose mask is another one than the result's."""
    arrivals: list[Arrival] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """What a person has to know, a line each."""
    silent: list[int] = field(default_factory=list)
    """Frames of which the source says nothing, though it lists them, where there is a mask now."""
    gone: dict[int, list[int]] = field(default_factory=dict)
    """Objects that a frame has now, and will not have any more -> the frames."""
    given: list[int] = field(default_factory=list)
    """Frames with this very mask given already."""
    as_shown: dict[int, str] = field(default_factory=dict)
    """Frames that come back as the result has them -> the digest of their mask."""
    untouched: list[int] = field(default_factory=list)
    """Frames that come back as they went out, though the result is another one now."""
    pixels: Counter[str] = field(default_factory=Counter)
    """What was done to pixels (`claimed_twice`, `cut_off`, `unknown`) -> how many."""


def look(reader: Reader, source: Path, target: Target, wishes: Wishes, progress: Progress = silent) -> Findings:
    """Find out what comes in; nothing is changed.

    Args:
        reader: of the source's format.
        source: file or folder.
        target: the sequence; its objects learn of new ones.
        wishes: which frames.
        progress: wraps the loop over frames.

    Raises:
        InputError: the source cannot be used, see `stages.exchange.incoming.protocol`; or what is in it is not this
            sequence's.
    """
    if target.result is not None and source.exists() and source.resolve() == target.result.resolve():
        raise InputError(
            f"{source}: found the result itself, expected masks in another folder; put copies of those that you have "
            "corrected there, and mend the result: lis verify --repair"
        )
    matched = match(reader.pictures(source), target.frames, wishes.name_prefix, str(source))
    pictures = matched.pictures
    if not pictures:
        raise InputError(
            f"{source}: found no mask of {target.frames.seq!r}, expected {reader.source}; check the path and --format"
        )
    if missing := sorted(wishes.frames - pictures.keys()):
        raise InputError(
            f"{source}: found no mask of the frame{'s' * (len(missing) > 1)} {_list(missing)}, expected one, as "
            f"--frames says; it has {_list(sorted(pictures))}"
        )
    found = Findings(said=list(matched.said))
    closer = {-1: 0, 1: 0}
    before = given_frames(target.scribble_file)
    wanted = [*filter(wishes.has, pictures)]
    for frame in progress(wanted, len(wanted)):
        found.looked_at += 1
        given = read_given(before[frame], target.size_wh) if frame in before else None
        labels, shown = _read(pictures[frame], frame, target, found, given), _shown(target, frame)
        if labels is None:
            if not wishes.takes_equal:
                found.silent += [frame] * (shown is None or bool(shown.any()))
                continue
            labels = np.zeros(target.size_wh[::-1], np.uint8)
        changed = int(np.count_nonzero(labels if shown is None else labels != shown))
        found.differing += changed > 0
        if not changed and shown is not None and not wishes.takes_equal:
            found.as_shown[frame] = digest_of(labels)
            continue
        if given is not None and (given == labels).all():
            found.given.append(frame)
            continue
        if not wishes.takes_equal and digest_of(labels) in target.handed_out.get(frame, ()):
            found.untouched.append(frame)
            continue
        _add(Arrival.of(frame, labels, changed), shown, found)
        for step in closer:
            closer[step] += _looks_like(labels, shown, _shown(target, frame + step), _shown(target, frame - step))
    if not wishes.frames:
        _check_shift(source, closer, found)
    _tell(found, target)
    return found


def give(found: Findings, target: Target, video: Sequence[Frame], progress: Progress = silent) -> list[Path]:
    """Write what comes in beside the scribble set: all of it, or, if the disk refuses, nothing.

    It is noted which pictures of the video the masks are for, also of those that were given already; and which masks of
    the source are the result's, so that they are no corrections when it comes again after the next run. A run that was
    killed at it has given some of its masks, whole ones; the next one finds these given, and gives the others.

    Raises:
        StageError: the disk refuses.
    """
    folder = masks_folder(target.scribble_file)
    files.sweep_in(folder)
    before = given_frames(target.scribble_file)
    former = {each.frame: before[each.frame].read_bytes() for each in found.arrivals if each.frame in before}
    written: list[Path] = []
    try:
        for each in progress(found.arrivals, len(found.arrivals)):
            written.append(folder / f"{each.frame:05d}.png")
            write_given(target.scribble_file, each.frame, each.labels(target.size_wh))
        given = sorted({*found.given, *(each.frame for each in found.arrivals)})
        if given:
            note_given_for(target.scribble_file, {index: pixel_digest(video[index]) for index in given})
            note_handed_out(folder, ((target.frames.seq, *each) for each in found.as_shown.items()))
    except BaseException:
        for path in written:
            with suppress(OSError):
                if (content := former.get(int(path.stem))) is not None:
                    files.replace(path, content)
                else:
                    files.delete(path)
        raise
    return written


def listing(found: Findings, target: Target) -> Iterator[str]:
    """A line for each frame that comes in: the frame, its changed pixels, its objects."""
    for each in found.arrivals:
        ids = ", ".join(str(object_id) for object_id in each.object_ids) or "none"
        name = target.frames.names[each.frame]
        yield f"frame {each.frame} ({name}): {each.changed_px:,} pixels differ, objects: {ids}"


def outcome(found: Findings) -> str:
    """What came of it, in one line."""
    looked_at = f"{found.looked_at} frame{'s' * (found.looked_at != 1)}"
    given = len(found.given)
    if not found.arrivals:
        none = f"{given} of them given already as here, no other" if given else "none"
        return f"found {looked_at}, {none} differs from the masks; nothing imported"
    count, differing = len(found.arrivals), sum(each.changed_px > 0 for each in found.arrivals)
    what = f"differ{'s' * (count == 1)}" if differing == count else f"taken, of which {differing} differ"
    more = f"; {given} more {'were' if given > 1 else 'was'} given before" * bool(given)
    return f"{count} of {looked_at} {what}, {count} anchor{'s' * (count > 1)}{more}"


def for_programs(found: Findings, target: Target, imported: int) -> dict[str, Any]:
    """What came of it: frames, pixels that were not as the source has them, and each mask that comes in.

    Args:
        found: what there is.
        target: the sequence.
        imported: how many frames were given.
    """
    frames = {"looked_at": found.looked_at, "differing": found.differing, "imported": imported}
    frames |= {"given_before": len(found.given), "untouched": len(found.untouched), "silent": len(found.silent)}
    masks = [
        {
            "frame": each.frame,
            "name": target.frames.names[each.frame],
            "changed_px": each.changed_px,
            "objects": list(each.object_ids),
        }
        for each in found.arrivals
    ]
    return {"frames": frames, "pixels": {what: found.pixels[what] for what in _DONE_TO_PIXELS}, "masks": masks}


def _read(picture: Picture, frame: int, target: Target, found: Findings, given: LabelMap | None) -> LabelMap | None:
    composed = compose(picture, target.objects, target.size_wh, target.frames.names[frame], given)
    if composed is None:
        return None
    found.pixels += Counter(
        claimed_twice=composed.claimed_twice_px, cut_off=composed.cut_px, unknown=composed.unknown_px
    )
    return composed.labels


def _add(arrival: Arrival, shown: LabelMap | None, found: Findings) -> None:
    found.arrivals.append(arrival)
    if shown is not None:
        for object_id in {*ids_of(shown)} - {0, *arrival.object_ids}:
            found.gone.setdefault(object_id, []).append(arrival.frame)


def _shown(target: Target, frame: int) -> LabelMap | None:
    """The mask that people have seen of a frame; None if there is none of this size."""
    if target.result is None or not 0 <= frame < len(target.frames.names):
        return None
    path = result_file(target.result, target.frames.names[frame])
    if not path.exists():
        return None
    labels = read_mask(path)
    return labels if labels.shape == target.size_wh[::-1] else None


def _looks_like(labels: LabelMap, own: LabelMap | None, neighbour: LabelMap | None, opposite: LabelMap | None) -> bool:
    """Whether a mask is a neighbour's rather than that of its own frame, in which the objects are, too.

    Then the neighbour on the opposite side is farther off than its own frame. Where it is nearer, as the first one is,
    the frame's own mask was wrong, and has been corrected.
    """
    if own is None or neighbour is None:
        return False
    sizes, own_sizes = (np.bincount(each.ravel(), minlength=256)[1:] for each in (labels, own))
    if not sizes.any() or (2 * own_sizes < sizes).any() or (own_sizes > 2 * sizes).any():
        return False  # an object was lost or too many were found: what corrects it may look like its neighbour
    to_own, to_neighbour = np.count_nonzero(labels != own), np.count_nonzero(labels != neighbour)
    if opposite is not None and np.count_nonzero(labels != opposite) < to_own:
        return False
    return bool(_CLOSER * to_neighbour < to_own)


def _check_shift(source: Path, closer: dict[int, int], found: Findings) -> None:
    """Refuse masks that are all nearer to those of the frames before, or behind."""
    for step, count in closer.items():
        if count > 1 and 2 * count > len(found.arrivals):
            raise InputError(
                f"{source}: found masks that are those of the frames {'before' if step < 0 else 'behind'} ({count} of "
                f"{len(found.arrivals)}), expected each to be its own frame's: their numbers begin with another one; "
                "rename them, or, if they are right, name the frames: --frames "
                + and_so_on([each.frame for each in found.arrivals], 3, ",")
            )


def _tell(found: Findings, target: Target) -> None:
    found.said += [
        f"{found.pixels[what]:,} pixels {said}" for what, said in _DONE_TO_PIXELS.items() if found.pixels[what]
    ]
    if found.silent:
        found.said.append(
            f"nothing is said of the frame{'s' * (len(found.silent) > 1)} {_list(found.silent)}, whose masks stay; if "
            "nothing is there, name them: --frames"
        )
    for object_id, frames in sorted(found.gone.items()):
        found.said.append(f"object {object_id} is gone from the frame{'s' * (len(frames) > 1)} {_list(frames)}")
    if found.given:
        found.said.append(f"given already, and the same: {_list(found.given)}")
    if found.untouched:
        found.said.append(
            f"as they went out, though the result is another one now: {_list(found.untouched)}; nobody has corrected "
            "them, and their masks stay; if they are right, name them: --frames"
        )
    if not target.objects.known and found.arrivals:
        ids = sorted({each for arrival in found.arrivals for each in arrival.object_ids})
        found.said.append(f"objects that come in, of which nobody has said what they are: {_list(ids) or 'none'}")
    for (label, _), object_id in target.objects.new.items():
        is_known = object_id in target.objects.known
        found.said += [f"new: object {object_id}" + f" ({label})" * bool(label)] * (not is_known)


def _list(numbers: Sequence[int]) -> str:
    return and_so_on(numbers, _LISTED)
