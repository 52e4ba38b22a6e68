"""An object without a pixel is told of, unless people say that it is not there."""

import math

import pytest

from stages.core.states import Source
from stages.formats.emptiness import BLOCK, EmptyObject, empty_objects_of, in_one_line
from stages.formats.frames_csv import FrameQuality
from stages.formats.manifest import Manifest
from stages.formats.objects_json import NamedObject, Objects
from stages.steps.emptiness import find_empty

ANCHORS = (2, 6)


def row(frame: int, area_px: int, source: Source, object_id: int = 3) -> FrameQuality:
    return FrameQuality(frame, object_id, 1.0, math.nan, source, None, "", area_px)


def track(areas: dict[int, int], source: Source = Source.BOTH) -> list[FrameQuality]:
    empty = {frame: source for frame, area in areas.items() if area == 0}
    return [
        row(frame, area, Source.ANCHOR if frame in ANCHORS else empty.get(frame, Source.BOTH))
        for frame, area in areas.items()
    ]


def told(rows: list[FrameQuality]) -> list[str]:
    return [each.in_words() for each in find_empty(rows, ANCHORS)]


def test_an_object_that_is_seen_everywhere_is_not_told_of() -> None:
    assert told(track(dict.fromkeys(range(8), 5))) == []


@pytest.mark.parametrize("source", [Source.BOTH, Source.FORWARD, Source.BACKWARD, Source.LOST])
def test_frames_without_a_pixel_are_told_in_stretches(source: Source) -> None:
    areas = {0: 0, 1: 0, 2: 5, 3: 0, 4: 5, 5: 5, 6: 5, 7: 0}
    assert told(track(areas, source)) == ["object 3: empty on frames 0-1, 3, 7"]
    assert told(track({**areas, 0: 1, 1: 1, 7: 1}, source)) == ["object 3: empty on frame 3"]


def test_where_people_say_that_it_is_absent_nothing_is_missing() -> None:
    """Frame 6 has no row of it: somebody looked, and did not draw it."""
    assert told([row(2, 5, Source.ANCHOR), *(row(frame, 0, Source.ABSENT) for frame in (7, 8))]) == []


def test_what_the_engine_finds_absent_is_told_only_where_every_anchor_shows_it() -> None:
    rows = [row(2, 5, Source.ANCHOR), row(4, 0, Source.ABSENT)]
    assert told(rows) == []  # it has left: it is not on frame 6
    assert told([*rows, row(6, 5, Source.ANCHOR)]) == ["object 3: empty on frame 4"]


def test_a_scribble_without_a_mask_is_told_and_so_is_what_rests_on_it() -> None:
    rows = [row(2, 0, Source.LOST), row(3, 0, Source.ABSENT), row(5, 0, Source.ABSENT), row(7, 0, Source.ABSENT)]
    assert told(rows) == ["object 3: empty on every frame, though scribbled on 2"]
    assert told([*rows, row(0, 4, Source.BACKWARD)]) == ["object 3: empty on frames 2-3, 5, though scribbled on 2"]
    assert told([*rows[:1], row(6, 4, Source.ANCHOR)]) == ["object 3: empty on frame 2, though scribbled on 2"]


def test_a_scribble_without_a_mask_is_told_though_its_own_line_is_in_it() -> None:
    rows = [row(2, 9, Source.LOST), row(3, 0, Source.ABSENT), row(7, 5, Source.BOTH)]
    assert told(rows) == ["object 3: empty on frames 2-3, though scribbled on 2"]


def test_one_line_has_room_for_a_few() -> None:
    many = [
        EmptyObject(number, tuple((first, first + 1) for first in range(0, 60, 3)), False, ()) for number in range(9)
    ]
    line = in_one_line(many)
    assert line.startswith("object 0: empty on frames 0-1, 3-4, 6-7, 9-10, 12-13, 15 more stretches; object 1: ")
    assert line.endswith("; 4 more objects")
    assert in_one_line([]) == ""


def test_what_has_a_name_is_called_by_it() -> None:
    known = Objects({3: NamedObject(3, "Rex", "dog", "#808000")})
    empty = [EmptyObject(number, ((5, 5),), False, (5,)) for number in (3, 4)]
    assert in_one_line(empty, known) == (
        "Rex (object 3): empty on frame 5, though scribbled on 5; object 4: empty on frame 5, though scribbled on 5"
    )


def test_a_manifest_holds_them() -> None:
    empty = find_empty(track({2: 0, 3: 0, 4: 1, 6: 3}), ANCHORS)
    run = {BLOCK: [each.as_json() for each in empty]}
    assert empty_objects_of(Manifest("masks", {}, "", {}, [3], {}, run)) == empty
    assert empty_objects_of(Manifest("masks", {}, "", {}, [3], {}, {})) == [], "version 0.1 does not say"
