"""A picture that came in as a label map of the sequence's own objects."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stages.core.errors import InputError
from stages.core.palette import MAX_OBJECT_ID
from stages.core.types import LabelMap
from stages.exchange.incoming.protocol import BACKGROUND, UNKNOWN, Picture, Shape
from stages.formats.names import normal, shown
from stages.formats.object_ids import check_ids, expected_ids, ids_of

_BACKGROUND_LABELS: Final = frozenset({"background", "_background_"})
_UNKNOWN_LABELS: Final = frozenset({"unknown", "__ignore__"})


@dataclass
class Objects:
    """Which objects a sequence has, and which ones come in."""

    known: frozenset[int]
    """Ids that mean something: listed, drawn, or given before; none at all: whatever comes in does."""
    names: Mapping[str, int] = field(default_factory=dict)
    """Listed objects by name. A class is no name: another dog may have come."""
    listed_in: str = "objects.json"
    """Where people find out which ones are known."""
    takes_new: bool = False
    """Whether objects may come in that are not known."""
    new: dict[tuple[str, int], int] = field(default_factory=dict)
    """What was not known by an id: its label, and which one of that label on its picture -> the id it was given."""
    _met_on: dict[tuple[str, int], str] = field(default_factory=dict)
    """The picture on which it was met first."""
    _numbered: set[int] = field(default_factory=set)
    """Ids that the file says."""

    def id_of(self, shape: Shape, place: int, where: str, picture: str) -> int:
        """The id of a shape in our label maps.

        Args:
            shape: its mask is not looked at.
            place: which one of those without an id and with this label it is on its picture, from 0.
            where: for messages.
            picture: for messages, its picture alone.

        Raises:
            InputError: it means nothing.
        """
        if shape.object_id is not None:
            if not 0 <= shape.object_id <= UNKNOWN:
                raise InputError(
                    f"{where}: found the object {str(shape.object_id)[:20]}, expected 1 to {MAX_OBJECT_ID}; number it "
                    "anew"
                )
            self._numbered.add(shape.object_id)
            if shape.object_id in self.new.values():
                raise InputError(
                    f"{where}: found the object {shape.object_id}, which a mask without an id has got just now, "
                    "expected an id for every mask; give them"
                )
            return shape.object_id
        label = normal(shape.label.strip())
        if label in self.names:
            return self.names[label]
        if label.lower() in _BACKGROUND_LABELS:
            return BACKGROUND
        if label.lower() in _UNKNOWN_LABELS:
            return UNKNOWN
        return self._new(label, place, where, picture)

    def recognise(self, labels: LabelMap, given: LabelMap, picture: str) -> None:
        """Objects that have got a new id on this picture, and came in with another one before, keep that one.

        Args:
            labels: (H, W) uint8 of the picture; changed in place.
            given: (H, W) uint8 that came in for its frame before.
            picture: see `id_of`.
        """
        for key in [key for key, first in self._met_on.items() if first == picture]:
            region = labels == self.new[key]
            former = int(given[region][0]) if region.any() else BACKGROUND
            others = {BACKGROUND, *ids_of(labels), *self.new.values(), *self._numbered}
            if former not in others and np.array_equal(region, given == former):
                labels[region] = self.new[key] = former

    def _new(self, label: str, place: int, where: str, picture: str) -> int:
        if not self.takes_new:
            raise InputError(
                f"{where}: found {_called(label)} without an object's id, expected "
                f"{expected_ids(self.known, self.listed_in)}; give it the object's id or name, or, if the object is "
                "new, --new-objects"
            )
        key, first = (label, place), (label, 0)
        if (place and self._met_on[first] != picture) or (
            (label, 1) in self.new and self._met_on.get(key, picture) != picture
        ):
            raise InputError(
                f"{where}: found {_called(label)} without an object's id, several on one picture, and others on "
                f"another one ({self._met_on[first]}): which is which, nobody has said; expected ids; give them"
            )
        if key not in self.new:
            taken = {*self.known, *self.new.values(), *self._numbered}
            free = next((each for each in range(1, MAX_OBJECT_ID + 1) if each not in taken), None)
            if free is None:
                raise InputError(f"{where}: found more than {MAX_OBJECT_ID} objects, expected {MAX_OBJECT_ID} at most")
            self.new[key], self._met_on[key] = free, picture
        return self.new[key]


@dataclass(frozen=True)
class Composed:
    """A picture as a label map, and what was done to it."""

    labels: LabelMap
    """(H, W) uint8, ids in 0..254."""
    claimed_twice_px: int = 0
    """Pixels that went to a later shape of another object."""
    cut_px: int = 0
    """Pixels of shapes that lay outside of the picture."""
    unknown_px: int = 0
    """Pixels of which nobody knew what they are, with the nearest other value now."""


def compose(
    picture: Picture, objects: Objects, size_wh: tuple[int, int], frame_name: str, given: LabelMap | None = None
) -> Composed | None:
    """Decode a picture, and see that it is a label map of this sequence; None if nothing is said of it.

    Args:
        picture: as a reader gives it.
        objects: the sequence's; new ones are added.
        size_wh: width and height of the frames in pixels.
        frame_name: the file name of its frame, for messages.
        given: (H, W) uint8 that came in for this frame before: new objects are recognised in it.

    Raises:
        InputError: it is damaged, has another size, or ids without meaning.
    """
    if picture.size_wh is not None:
        _check_size(picture, picture.size_wh, size_wh, frame_name)
    content = picture.content()
    if isinstance(content, np.ndarray):
        labels, claimed, cut = content, 0, 0
        _check_size(picture, (labels.shape[1], labels.shape[0]), size_wh, frame_name)
    else:
        composed = _from_shapes(content, picture, objects, size_wh, frame_name)
        if composed is None:
            return None
        labels, claimed, cut = composed
    if not objects.takes_new:
        check_ids(picture.where, labels, objects.known, objects.listed_in)
    unknown = labels == UNKNOWN
    labels = _filled(picture, labels, unknown)
    if given is not None:
        objects.recognise(labels, given, picture.where)
    return Composed(labels, claimed, cut, int(np.count_nonzero(unknown)))


def _from_shapes(
    shapes: Iterable[Shape], picture: Picture, objects: Objects, size_wh: tuple[int, int], frame_name: str
) -> tuple[LabelMap, int, int] | None:
    labels = np.zeros(size_wh[::-1], np.uint8)
    twice = np.zeros(labels.shape, np.bool_)
    count = cut = 0
    met: Counter[str] = Counter()
    for count, shape in enumerate(shapes, 1):  # noqa: B007 - whether there was any
        _check_size(picture, (shape.mask.shape[1], shape.mask.shape[0]), size_wh, frame_name)
        where = f"{picture.where}, {shape.where}" if shape.where else picture.where
        label = normal(shape.label.strip())
        object_id = objects.id_of(shape, met[label], where, picture.where)
        met[label] += shape.object_id is None
        if object_id not in (BACKGROUND, UNKNOWN):
            twice |= shape.mask & (labels != BACKGROUND) & (labels != UNKNOWN) & (labels != object_id)
        labels[shape.mask] = object_id
        cut += shape.cut_px
    return (labels, int(np.count_nonzero(twice)), cut) if count else None


def _check_size(picture: Picture, found: tuple[int, int], size_wh: tuple[int, int], frame_name: str) -> None:
    if found != size_wh:
        raise InputError(
            f"{picture.where}: found {found[0]}x{found[1]} pixels, expected {size_wh[0]}x{size_wh[1]} as in "
            f"{frame_name}; export it without scaling"
        )


def _filled(picture: Picture, labels: LabelMap, unknown: NDArray[np.bool_]) -> LabelMap:
    """The label map with the nearest other value where nobody knows."""
    if not unknown.any():
        return labels
    if unknown.all():
        raise InputError(f"{picture.where}: found nothing but {UNKNOWN} (unknown), expected object ids; correct it")
    from scipy.ndimage import distance_transform_edt  # noqa: PLC0415 - seldom needed, and slow to import

    nearest = distance_transform_edt(unknown, return_distances=False, return_indices=True)
    filled: LabelMap = labels[tuple(nearest)]
    return filled


def _called(label: str) -> str:
    return f"a mask {shown(label)[:60]!r}" if label else "a mask"
