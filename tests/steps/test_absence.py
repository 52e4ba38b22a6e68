"""Nothing of an object is carried across a frame where it is absent, whatever the engine."""

from pathlib import Path

import numpy as np
import pytest

from stages.core.plan import Plan
from stages.core.progress import silent
from stages.core.states import Source
from stages.engines import registry
from stages.formats.tracks import read_tracks
from stages.steps.segment_anchor import take_given
from stages.steps.track import track_segment

HEIGHT, WIDTH, FRAMES = 48, 96, 10
ANCHORS = (0, 3, 6, 9)


def labels(is_shown: bool) -> np.ndarray:
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    found[10:34, 12:40] = 1
    if is_shown:
        found[20:40, 60:84] = 2
    return found


def picture() -> np.ndarray:
    grain = np.random.default_rng(3).integers(40, 90, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    colours = np.array([(0, 0, 0), (200, 40, 30), (40, 60, 210)], np.uint8)[labels(True)]
    return np.where(colours.any(axis=2, keepdims=True), colours, grain)


def tracked(folder: Path, is_shown: dict[int, bool], propagator: str) -> dict[int, tuple[bool, Source]]:
    """Whether object 2 is on each frame but the anchors, and where it comes from, as the engine carries the anchors.

    The pictures do not tell: it is in all of them.
    """
    anchors = {}
    for index in ANCHORS:
        anchors[index] = folder / f"{index:05d}"
        anchors[index].mkdir()
        take_given(anchors[index], labels(is_shown[index]))
    engine = registry.build("propagator", propagator, Path("none"), "cpu", {})
    found = {}
    for segment in Plan(FRAMES, ANCHORS, ()).segments:
        stretch = folder / segment.name
        stretch.mkdir()
        track_segment(stretch, [picture()] * FRAMES, segment, anchors, engine, silent)
        for frame in read_tracks(stretch):
            number = frame.object_ids.index(2) if 2 in frame.object_ids else None
            is_there = number is not None and bool((frame.probability[number] > 0.5).any())
            found[frame.index] = is_there, Source.ABSENT if number is None else frame.sources[number]
    return found


@pytest.mark.parametrize("propagator", ["flow", "match:lite"])
@pytest.mark.parametrize(
    ("story", "on_anchors", "nowhere", "carried"),
    [
        ("it leaves and returns", (True, False, False, True), (4, 5), {1: Source.FORWARD, 8: Source.BACKWARD}),
        ("it first appears in the middle", (False, False, True, True), (1, 2), {5: Source.BACKWARD, 8: Source.BOTH}),
        ("it is dropped in the middle", (True, True, False, False), (7, 8), {1: Source.BOTH, 4: Source.FORWARD}),
    ],
)
def test_an_object_is_only_where_an_anchor_beside_has_it(
    tmp_path: Path,
    story: str,
    on_anchors: tuple[bool, ...],
    nowhere: tuple[int, ...],
    carried: dict[int, Source],
    propagator: str,
) -> None:
    found = tracked(tmp_path, dict(zip(ANCHORS, on_anchors, strict=True)), propagator)
    assert [found[index] for index in nowhere] == [(False, Source.ABSENT)] * len(nowhere), story
    assert {index: found[index] for index in carried} == {index: (True, source) for index, source in carried.items()}
