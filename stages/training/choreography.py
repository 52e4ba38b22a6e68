"""Who moves where in a composed clip (`composed.py`): scenes in which objects come, go, hide, touch and look alike."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from stages.training.composed import Composition, Course, Shot, Thing

Kind = Literal["mixed", "alike", "touching", "fast"]
"""What a clip is about, besides coming and going: nothing else, two of one kind, two that touch, small fast ones."""
Place = tuple[float, float]

_ROLES: Final = ("stays", "enters", "leaves", "returns")
_SIZE: Final = (0.17, 0.42)
"""The root of an object's area, in shares of the picture's height."""
_LEAST_FRONT: Final = 0.2
"""What something hides behind: as for `_SIZE`."""
_SMALL: Final = (0.05, 0.09)
_OWN: Final = 0.5
"""How often the scenery's own object is one of those that are followed."""
_SCENERY_TOO: Final = 0.25
"""How often something else moves there that nobody follows."""
_LEAST_OWN_PX: Final = 400


def compose(
    sceneries: Sequence[Shot], cast: Sequence[Shot], kind: Kind, objects: int, length: int, rng: np.random.Generator
) -> Composition:
    """Draw a clip.

    Args:
        sceneries: whole clips.
        cast: what may be cut out; two or more.
        kind: what the clip is about.
        objects: how many are followed, two or more.
        length: frames.
        rng: makes every choice.
    """
    scenery = sceneries[int(rng.integers(len(sceneries)))]
    own = _own(scenery, rng) if kind != "fast" and objects > 2 else {}
    count = objects - len(own)
    others = [shot for shot in cast if shot.frames[0].clip != scenery.frames[0].clip] or list(cast)
    chosen = [others[place] for place in rng.choice(len(others), count, replace=len(others) < count)]
    if kind == "alike":
        chosen[1] = chosen[0]
    stage = _Stage(scenery, length, rng)
    things: list[Thing] = []
    for number, shot in enumerate(chosen):
        object_id = len(own) + number + 1
        first = things[0] if things else None
        if kind == "fast" and (number == 0 or (count > 2 and number == 1)):
            things.append(stage.fast(shot, object_id))
        elif kind == "alike" and number == 1 and first:
            things.append(stage.alike(first, object_id))
        elif kind == "touching" and number == 1 and first:
            things.append(stage.beside(first, shot, object_id))
        elif (large := stage.large(things)) and rng.random() < 0.45:
            things.append(stage.hiding(large[int(rng.integers(len(large)))], shot, object_id))
        else:
            things.append(stage.moving(shot, object_id))
    if rng.random() < _SCENERY_TOO:
        things.append(stage.moving(others[int(rng.integers(len(others)))], 0))
    return Composition(scenery, stage.ordered(things), length, own, first=stage.first)


class _Stage:
    """The picture on which things get their courses."""

    def __init__(self, scenery: Shot, length: int, rng: np.random.Generator) -> None:
        self._rng, self._length = rng, length
        self._rows, self._columns = scenery.frames[0].labels.shape
        self._light = scenery.frames[0].rgb.reshape(-1, 3).mean(axis=0)
        self.first = int(rng.integers(len(scenery.frames)))
        self._behind: set[tuple[int, int]] = set()
        """Pairs of ids of `Thing`: the first one is to be drawn before the second one."""

    def large(self, things: Sequence[Thing]) -> list[Thing]:
        """Those that something may hide behind."""
        return [thing for thing in things if thing.scale * thing.shot.size_px >= _LEAST_FRONT * self._rows]

    def moving(self, shot: Shot, object_id: int) -> Thing:
        """It stays, enters, leaves, or leaves and returns."""
        scale = self._scale(shot, _SIZE)
        role = str(self._rng.choice(_ROLES, p=(0.25, 0.25, 0.2, 0.3)))
        return self._thing(shot, object_id, scale, self._course(role, self._reach(shot, scale)))

    def fast(self, shot: Shot, object_id: int) -> Thing:
        """Small, it jumps to and fro, and may leave the picture."""
        scale, rng = self._scale(shot, _SMALL), self._rng
        times, places = [0.0], [self._inside()]
        while times[-1] < self._length:
            times.append(times[-1] + float(rng.uniform(4, 8)))
            turn, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.12, 0.32)
            x, y = places[-1][0] + far * np.cos(turn), places[-1][1] + 0.7 * far * np.sin(turn)
            places.append((float(np.clip(x, -0.1, 1.1)), float(np.clip(y, 0.1, 0.9))))
        return self._thing(shot, object_id, scale, Course(times, places))

    def alike(self, other: Thing, object_id: int) -> Thing:
        """The same thing at another time of its clip, that crosses the other's way."""
        rng = self._rng
        shift = rng.normal(0, 0.08)
        if rng.random() < 0.6:
            places = [(1 - x + shift, y + float(rng.normal(0, 0.03))) for x, y in other.course.places]
            course = Course(other.course.times, places)
        else:
            role = str(rng.choice(_ROLES))
            course = self._course(role, self._reach(other.shot, other.scale))
        scale = other.scale * float(np.exp(rng.normal(0, 0.08)))
        first = other.first + int(rng.integers(2, 12))
        return Thing(other.shot, course, scale, object_id, first, rng.random() < 0.5, other.gains)

    def beside(self, other: Thing, shot: Shot, object_id: int) -> Thing:
        """It goes along with another one and touches it."""
        rng = self._rng
        scale = other.scale * other.shot.size_px / shot.size_px * float(rng.uniform(0.7, 1.2))
        apart = (self._reach(other.shot, other.scale) + self._reach(shot, scale)) * rng.uniform(0.55, 0.85)
        side = apart if rng.random() < 0.5 else -apart
        places = [
            (x + side + float(rng.normal(0, 0.015)), y + float(rng.normal(0, 0.03))) for x, y in other.course.places
        ]
        return self._thing(shot, object_id, scale, Course(other.course.times, places))

    def hiding(self, front: Thing, shot: Shot, object_id: int) -> Thing:
        """Smaller than another one, it stays behind that for a while."""
        rng = self._rng
        scale = min(self._scale(shot, _SIZE), front.scale * front.shot.size_px / shot.size_px * rng.uniform(0.4, 0.65))
        way = rng.uniform(3, 8)
        begin = rng.uniform(0.05, 0.6) * self._length
        end = begin + way + rng.uniform(0.12, 0.4) * self._length
        hidden = np.arange(begin + way, end, 2)
        around = [(float(time), (float(x), float(y))) for time in hidden for x, y in [front.course.at(time)]]
        steps: list[tuple[float, Place]] = [
            (-1.0, self._inside()),
            (float(begin), self._inside()),
            *around,
            (float(end + way), self._inside()),
            (float(max(self._length, end + way + 4)), self._inside()),
        ]
        thing = self._thing(shot, object_id, scale, Course(*zip(*steps, strict=True)))
        self._behind.add((id(thing), id(front)))
        return thing

    def ordered(self, things: Sequence[Thing]) -> list[Thing]:
        """From back to front."""
        left = [things[place] for place in self._rng.permutation(len(things))]
        result: list[Thing] = []
        while left:
            ready = [
                thing
                for thing in left
                if not any((id(other), id(thing)) in self._behind for other in left if other is not thing)
            ]
            result.append(ready[0])
            left.remove(ready[0])
        return result

    def _thing(self, shot: Shot, object_id: int, scale: float, course: Course) -> Thing:
        rng, picture = self._rng, shot.frames[0]
        light = picture.rgb[picture.labels == shot.object_id].mean(axis=0)
        gains = np.clip((self._light / np.maximum(light, 1)) ** 0.3, 0.7, 1.4) * np.exp(rng.normal(0, 0.05, 3))
        first = int(rng.integers(2 * len(shot.frames)))
        red, green, blue = gains.tolist()
        return Thing(shot, course, scale, object_id, first, rng.random() < 0.5, (red, green, blue))

    def _course(self, role: str, reach: float) -> Course:
        rng, length = self._rng, self._length
        here, there, outside = self._inside(), self._inside(), self._outside(reach)
        if role == "stays":
            return Course((0, length / 2, length - 1), (here, self._near(here), self._near(here)))
        way = rng.uniform(3, 10)
        if role == "returns":
            begin = rng.uniform(0.1, 0.45) * length
            end = begin + way + rng.uniform(0.15, 0.45) * length
            back = outside if rng.random() < 0.5 else self._outside(reach)
            return Course(
                (0, begin, begin + way, end, end + way, max(length, end + way + 1)),
                (here, self._near(here), outside, back, there, self._near(there)),
            )
        begin = rng.uniform(0.1, 0.65) * length
        times = (0, begin, begin + way, max(length, begin + way + 1))
        if role == "enters":
            return Course(times, (outside, outside, here, self._near(here)))
        return Course(times, (here, self._near(here), outside, outside))

    def _scale(self, shot: Shot, sizes: tuple[float, float]) -> float:
        size_px = self._rows * float(np.exp(self._rng.uniform(*np.log(sizes))))
        return min(size_px / shot.size_px, 1.3)

    def _reach(self, shot: Shot, scale: float) -> float:
        """Half its width, as a share of the picture's."""
        widest = max(picture.boxes[shot.object_id][2] for picture in shot.frames)
        return scale * widest / 2 / self._columns

    def _inside(self) -> Place:
        return float(self._rng.uniform(0.15, 0.85)), float(self._rng.uniform(0.3, 0.75))

    def _near(self, place: Place) -> Place:
        x, y = np.asarray(place) + self._rng.normal(0, (0.12, 0.06))
        return float(np.clip(x, 0.1, 0.9)), float(np.clip(y, 0.2, 0.8))

    def _outside(self, reach: float) -> Place:
        x = -reach - 0.02 if self._rng.random() < 0.5 else 1 + reach + 0.02
        return x, float(self._rng.uniform(0.35, 0.7))


def _own(scenery: Shot, rng: np.random.Generator) -> dict[int, int]:
    """The scenery's own object by its name in the truth, if it is to be followed."""
    is_there = all(picture.areas.get(1, 0) >= _LEAST_OWN_PX for picture in scenery.frames)
    return {1: 1} if is_there and rng.random() < _OWN else {}


def shares_gone(areas: NDArray[np.intp], least_px: int) -> float:
    """The share of the object-frames (frames, objects) in which fewer pixels than that are to be seen."""
    return float((areas < least_px).mean())


def is_fair(areas: NDArray[np.intp], anchors: Sequence[int], least_px: int) -> bool:
    """Whether whoever knows the anchors can know of every object in every stretch in which it is to be seen.

    `least_px`: what must be seen of it on an anchor. Every object is to be seen on a third of the frames.
    """
    known = areas >= least_px
    for start, end in pairwise(anchors):
        seen = known[start : end + 1].any(axis=0)
        if (seen & ~known[start] & ~known[end]).any():
            return False
    return bool((known.mean(axis=0) >= 1 / 3).all())
