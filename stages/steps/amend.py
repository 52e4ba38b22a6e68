"""Taking back, renaming and joining what people said of a sequence.

Each change is worked out first, and touches nothing: an `Amendment` says what becomes of a scribble set, of given
masks, of the names of objects and of painted pictures. `stages.steps.carry_out` does it then.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from stages.core.errors import InputError
from stages.core.palette import MAX_OBJECT_ID, colour_of
from stages.core.strokes import FrameScribbles
from stages.core.types import LabelMap
from stages.core.words import and_so_on
from stages.formats.draft_json import Draft
from stages.formats.frames import read_frame
from stages.formats.given_masks import given_frames, read_given, read_seen
from stages.formats.objects_json import OBJECTS_JSON, NamedObject, Objects
from stages.formats.scribble_sets import other_sets_with
from stages.formats.scribbles import ScribbleSet, without


@dataclass(frozen=True)
class Drawn:
    """What people said of a sequence in one scribble set."""

    file: Path
    """The set's; it may be missing."""
    scribbles: ScribbleSet
    objects: Objects
    frames: Sequence[Path]
    """The video's pictures, in order."""
    painted: Mapping[int, Sequence[Path]] = field(default_factory=dict)
    """The pictures that were painted for this set, by frame."""
    drafts: Mapping[int, Draft] = field(default_factory=dict)
    """What is being drawn, by frame."""

    @cached_property
    def given(self) -> Mapping[int, Path]:
        """The masks that were given, by frame."""
        return given_frames(self.file)

    @cached_property
    def masks(self) -> Mapping[int, LabelMap]:
        """The same as ids (H, W) uint8."""
        return {index: read_given(path, self._size_wh) for index, path in self.given.items()}

    @cached_property
    def seen(self) -> Mapping[int, LabelMap]:
        """The masks that strokes correct, as they were seen: ids (H, W) uint8 by frame."""
        corrects = self.scribbles.corrects
        return {index: read_seen(self.file, index, digest, self._size_wh) for index, digest in corrects.items()}

    @cached_property
    def ids_given(self) -> Mapping[int, tuple[int, ...]]:
        """The objects that given masks show, by frame, ascending."""
        return {index: tuple(sorted({*np.unique(labels).tolist()} - {0})) for index, labels in self.masks.items()}

    @property
    def annotated(self) -> tuple[int, ...]:
        """The frames of which people have said something, ascending."""
        return tuple(sorted({*self.scribbles.annotated, *self.given}))

    @cached_property
    def object_ids(self) -> tuple[int, ...]:
        """The objects that are drawn anywhere, ascending."""
        drawn = {*self.scribbles.object_ids, *(each for ids in self.scribbles.absent.values() for each in ids)}
        seen = (np.unique(labels).tolist() for labels in self.seen.values())
        return tuple(sorted(drawn.union(*self.ids_given.values(), *seen) - {0}))

    @cached_property
    def _size_wh(self) -> tuple[int, int]:
        height, width = read_frame(self.frames[0]).shape[:2]
        return width, height


@dataclass(frozen=True)
class Amendment:
    """What is to change."""

    scribbles: ScribbleSet
    """The set afterwards."""
    said: tuple[str, ...]
    """The change in words, a line for each frame."""
    frames: tuple[int, ...]
    """Those that it concerns, ascending."""
    masks: Mapping[int, LabelMap | None] = field(default_factory=dict)
    """Given masks that change: frame -> ids (H, W) uint8 afterwards; None: it goes."""
    seen: Mapping[int, LabelMap] = field(default_factory=dict)
    """What people saw of corrected frames, where its ids change."""
    objects: Sequence[NamedObject] | None = None
    """All that are listed afterwards; None: the list stays as it is."""
    takes_away: bool = True
    """Whether anything that people said goes, so that a copy is kept."""
    taken_back: frozenset[int] = frozenset()
    """Frames whose painted pictures and drafts go, and that nobody is to be asked for."""


# --- working it out --------------------------------------------------------------------------------------------------


def remove_frames(drawn: Drawn, frames: Collection[int]) -> Amendment:
    """Take back all that was said of some frames.

    Raises:
        InputError: nothing was said of one of them.
    """
    said, scribbles = [], drawn.scribbles
    for index in frames:
        _check_frame(drawn, index)
        if index not in {*drawn.annotated, *drawn.painted, *drawn.drafts}:
            raise InputError(
                f"frame {index}: found nothing that was drawn, given or painted there, expected one of the annotated "
                f"frames ({_numbers(drawn.annotated)}); if it waits and is not wanted: lis scribbles decline"
            )
        said.append(f"frame {index}: takes back {_in_words(drawn, index)}")
        scribbles = without(scribbles, index)
    gone = dict.fromkeys(index for index in frames if index in drawn.given)
    return Amendment(scribbles, tuple(said), tuple(frames), masks=gone, taken_back=frozenset(frames))


def remove_object(drawn: Drawn, object_id: int, frames: Collection[int] = ()) -> Amendment:
    """Take an object back on some frames, or, if none is named, on all of them.

    A frame on which nothing is left stays annotated: nothing is there.

    Raises:
        InputError: the object, or one of the frames, has none of it.
    """
    _check_object(drawn, object_id)
    for index in frames:
        _check_frame(drawn, index)
    chosen = [index for index in drawn.annotated if not frames or index in frames]
    amended = _renumbered(drawn, {object_id: None}, chosen, seen=not frames)
    if absent := [index for index in frames if index not in amended.frames]:
        raise InputError(
            f"frame {absent[0]}: found no stroke and no given mask of {_called(drawn, object_id)}, expected one; "
            "to say that a corrected mask does not show it: lis scribbles absent"
        )
    return amended


def rename(drawn: Drawn, object_id: int, new_id: int) -> Amendment:
    """Give an object another id, which nothing has; the list of objects follows.

    Raises:
        InputError: there is no such object, or the new id is taken, or is none.
    """
    _check_object(drawn, object_id)
    _check_id(new_id)
    if new_id in drawn.object_ids or new_id in drawn.objects.listed:
        raise InputError(
            f"found object {new_id} in use, expected a free id, such as {_free(drawn)}; to make one object of the two: "
            "lis scribbles merge"
        )
    amended = _renumbered(drawn, {object_id: new_id}, drawn.annotated)
    return _relisted(drawn, amended, object_id, new_id, lambda each: [_with_id(each, new_id)])


def merge_objects(drawn: Drawn, object_id: int, into: int) -> Amendment:
    """Make one object of two: what was drawn of the first belongs to the second.

    Raises:
        InputError: one of them is not there, or they are the same.
    """
    _check_object(drawn, object_id)
    _check_object(drawn, into)
    if object_id == into:
        raise InputError(f"found object {into} twice, expected two objects to make one of; give another one")
    amended = _renumbered(drawn, {object_id: into, into: into}, drawn.annotated)
    return _relisted(drawn, amended, object_id, into, lambda _: [])


def call_absent(drawn: Drawn, object_id: int, frames: Collection[int]) -> Amendment:
    """Mark an object as absent on annotated frames, whatever a mask that is corrected there says.

    Raises:
        InputError: the object is drawn there, the frame is not annotated, or its given mask speaks for itself.
    """
    _check_object(drawn, object_id)
    absent, said = dict(drawn.scribbles.absent), []
    for index in frames:
        _check_frame(drawn, index)
        name = _called(drawn, object_id)
        if index in drawn.given:
            raise InputError(
                f"frame {index}: found a given mask, which speaks for all objects, expected strokes; give one without "
                f"{name}, as requests/{index:05d}.mask.png or by lis import-masks"
            )
        if index not in drawn.scribbles.frames:
            raise InputError(
                f"frame {index}: found no annotation, expected one of the annotated frames "
                f"({_numbers(drawn.annotated)}): draw what is there, or paint {index:05d}.empty.png if nothing is"
            )
        if object_id in drawn.scribbles.frame(index).object_ids:
            raise InputError(
                f"frame {index}: found strokes of {name}, expected none if it is absent; take them back first: "
                f"lis scribbles remove {quote(drawn.scribbles.sequence)} --frame {index} --object {object_id}"
            )
        absent[index] = tuple(sorted({*absent.get(index, ()), object_id}))
        said.append(f"frame {index}: {name} is absent")
    marked = replace(drawn.scribbles, absent=dict(sorted(absent.items())))
    return Amendment(marked, tuple(said), tuple(frames), takes_away=False)


def _renumbered(
    drawn: Drawn, new_ids: Mapping[int, int | None], frames: Iterable[int], *, seen: bool = True
) -> Amendment:
    """With other ids on some frames.

    Args:
        drawn: what there is.
        new_ids: id -> what it becomes; None: it goes. Two that become one are both named.
        frames: where; annotated ones.
        seen: also in what people saw of corrected frames.
    """
    moved = [old for old, new in new_ids.items() if old != new]
    scribbles, masks, seen_masks = drawn.scribbles, dict[int, LabelMap | None](), dict[int, LabelMap]()
    said = dict[int, str]()
    for index in frames:
        found = []
        if count := sum(line.object_id in moved for line in scribbles.frame(index).lines):
            found.append(f"{count} stroke{'s' * (count > 1)}")
        if index in drawn.given and np.isin(drawn.masks[index], moved).any():
            masks[index] = _mapped(drawn.masks[index], new_ids)
            found.append("the given mask")
        if seen and index in scribbles.corrects:
            gone = np.isin(drawn.seen[index], [each for each in scribbles.absent.get(index, ()) if each in new_ids])
            changed = _mapped(np.where(gone, 0, drawn.seen[index]).astype(np.uint8), new_ids)
            if (changed != drawn.seen[index]).any():
                seen_masks[index] = changed
                found.append("the mask that is corrected")
        if any(each in moved for each in scribbles.absent.get(index, ())):
            found.append("the mark that it is absent")
        if found:
            is_one = len(found) == 1 and count < 2
            said[index] = f"frame {index}: {' and '.join(found)} of {_change(drawn, new_ids, is_one=is_one)}"
        if index in scribbles.frames:
            scribbles = _with_ids(scribbles, index, new_ids)
    return Amendment(scribbles, tuple(said.values()), tuple(said), masks=masks, seen=seen_masks)


def _with_ids(scribbles: ScribbleSet, index: int, new_ids: Mapping[int, int | None]) -> ScribbleSet:
    lines = tuple(
        replace(line, object_id=new)
        for line in scribbles.frame(index).lines
        if (new := new_ids.get(line.object_id, line.object_id)) is not None
    )
    drawn = FrameScribbles(lines)

    def marked(known: Mapping[int, tuple[int, ...]], enough: Callable[[Iterable[bool]], bool]) -> Any:
        """With marks of the new ids, where enough of the old ones that become them have it."""
        had = known.get(index, ())
        become = {new: [old for old in new_ids if new_ids[old] == new] for new in new_ids.values() if new is not None}
        marks = {each for each in had if each not in new_ids}
        marks |= {new for new, olds in become.items() if enough(old in had for old in olds)}
        others = {frame: each for frame, each in known.items() if frame != index}
        return dict(sorted({**others, index: tuple(sorted(marks))}.items())) if marks else others

    return replace(
        scribbles,
        frames={**scribbles.frames, index: drawn},
        absent=marked(scribbles.absent, all),
        from_boxes=marked(scribbles.from_boxes, any),
    )


def _mapped(labels: LabelMap, new_ids: Mapping[int, int | None]) -> LabelMap:
    """A label map with other ids."""
    table = np.arange(256, dtype=np.uint8)
    for old, new in new_ids.items():
        table[old] = new or 0
    return table[labels]


def _relisted(
    drawn: Drawn,
    change: Amendment,
    object_id: int,
    new_id: int,
    become: Callable[[NamedObject], list[NamedObject]],
) -> Amendment:
    """The list of objects follows; it is that of all scribble sets, of which the others keep their ids."""
    if object_id not in drawn.objects.listed:
        return change
    listed = drawn.objects.listed.values()
    objects = [new for each in listed for new in (become(each) if each.id == object_id else [each])]
    said = change.said
    sequence = drawn.scribbles.sequence
    if others := other_sets_with(object_id, drawn.file, sequence, drawn.scribbles.frame_count):
        said += (
            f"{OBJECTS_JSON}, which is that of all sets, lists object {object_id} no more; it stays in the scribble "
            f"set{'s' * (len(others) > 1)} {', '.join(others)}: if that is the same object, lis scribbles merge "
            f"{quote(sequence)} --scribbles {others[0].partition(' ')[0]} --object {object_id} --to {new_id}",
        )
    return replace(change, objects=objects, said=said)


def _with_id(named: NamedObject, new_id: int) -> NamedObject:
    """What was made from the id follows it."""
    is_default = named.name == f"{named.class_name} {named.id}"
    return replace(
        named,
        id=new_id,
        name=f"{named.class_name} {new_id}" if is_default else named.name,
        colour=colour_of(new_id) if named.colour == colour_of(named.id) else named.colour,
    )


# --- words -----------------------------------------------------------------------------------------------------------


def _check_frame(drawn: Drawn, index: int) -> None:
    count = drawn.scribbles.frame_count
    if not 0 <= index < count:
        raise InputError(f"found the frame {index}, expected one of 0 to {count - 1}; give another one")


def _check_id(object_id: int) -> None:
    if not 1 <= object_id <= MAX_OBJECT_ID:
        raise InputError(f"found the object {object_id}, expected a number in 1..{MAX_OBJECT_ID}; give another one")


def _check_object(drawn: Drawn, object_id: int) -> None:
    _check_id(object_id)
    if object_id not in drawn.object_ids and object_id not in drawn.objects.listed:
        raise InputError(
            f"found no object {object_id} in {drawn.file}, expected one of: {_numbers(drawn.object_ids)}; "
            "`lis scribbles show` lists what is drawn"
        )


def _free(drawn: Drawn) -> int:
    taken = {*drawn.object_ids, *drawn.objects.listed}
    return next(each for each in range(1, MAX_OBJECT_ID + 2) if each not in taken)


def _called(drawn: Drawn, object_id: int) -> str:
    return drawn.objects.of(object_id).name if object_id else "background"


def _change(drawn: Drawn, new_ids: Mapping[int, int | None], *, is_one: bool) -> str:
    goes, becomes = ("goes", "becomes that") if is_one else ("go", "become those")
    return ", ".join(
        f"{_called(drawn, old)} {goes if new is None else f'{becomes} of object {new}'}"
        for old, new in new_ids.items()
        if old != new
    )


def _in_words(drawn: Drawn, index: int) -> str:
    counts = Counter(line.object_id for line in drawn.scribbles.frame(index).lines)
    parts = [
        f"{count} stroke{'s' * (count > 1)} of {_called(drawn, object_id)}"
        for object_id, count in sorted(counts.items())
    ]
    parts += ["the correction"] * (index in drawn.scribbles.corrects)
    parts += ["the given mask"] * (index in drawn.given)
    parts += [picture.name for picture in drawn.painted.get(index, ())]
    parts += ["the draft"] * (index in drawn.drafts)
    return ", ".join(parts) or "that nothing is there"


def _numbers(values: Sequence[int]) -> str:
    return and_so_on(values, 12) or "none"
