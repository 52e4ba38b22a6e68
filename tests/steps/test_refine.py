"""Refinement of a stretch."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.core.errors import StageError
from stages.core.progress import silent
from stages.core.states import Gone, Source
from stages.core.types import Frame, Probability, SegmentFrame
from stages.engines.protocols import Refiner
from stages.engines.refiners.guided.engine import Guided
from stages.formats.tracks import writing_tracks
from stages.steps.refine import GuardedRefiner, refine_segment
from stages.testing.scenes import Scene

SCENE = Scene(objects=2)
LOST = Gone(Source.LOST, "not found")
STRETCH = range(1, 6)


@pytest.fixture
def tracks(tmp_path: Path) -> Path:
    folder = tmp_path / "tracks"
    folder.mkdir()
    with writing_tracks(folder, STRETCH, (1, 2), [Source.BOTH] * 2) as writer:
        for index in STRETCH:
            ones, masks = np.ones(2, np.float32), SCENE.masks(index).copy()
            if index > 3:
                masks[0] = 0
            writer.append(SegmentFrame(index, masks, ones, ones, (LOST if index > 3 else None, None)))
    return folder


class Together(Guided):
    """It wants three masks, and remembers how many it got."""

    at_once = 3

    def __init__(self) -> None:
        self.shown: list[int] = []

    def refine_all(self, masks: Sequence[tuple[Frame, Probability]]) -> Iterator[Probability]:
        self.shown.append(len(masks))
        return (self.refine(frame, mask) for frame, mask in masks)


def refined(folder: Path, tracks: Path, refiner: Refiner, ahead: bool = False) -> dict[str, bytes]:
    folder.mkdir()
    video = [SCENE.frame(index) for index in range(STRETCH.stop + 1)]
    refine_segment(folder, video, tracks, GuardedRefiner(refiner, 0.7, 1.5), silent, ahead)
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*.*"))}


def test_reading_ahead_changes_nothing(tmp_path: Path, tracks: Path) -> None:
    one, other = (refined(tmp_path / str(ahead), tracks, Guided(), ahead) for ahead in (False, True))
    assert len(one) > len(STRETCH)
    assert one == other


@pytest.mark.parametrize("ahead", [False, True])
def test_frames_that_are_refined_together_are_written_as_one_by_one(tmp_path: Path, tracks: Path, ahead: bool) -> None:
    alone, together = Guided(), Together()
    assert refined(tmp_path / "one", tracks, alone) == refined(tmp_path / "other", tracks, together, ahead)
    assert together.shown == [4, 3, 1]  # of two frames each; in the fourth and the fifth an object is lost


def test_frames_without_objects_do_not_pile_up(tmp_path: Path) -> None:
    read = []

    class Video(list[Frame]):
        def __getitem__(self, index: Any) -> Any:
            read.append(index)
            return SCENE.frame(index)

    tracks, folder, at = tmp_path / "tracks", tmp_path / "refined", []
    for each in (tracks, folder):
        each.mkdir()
    with writing_tracks(tracks, STRETCH, (), []) as writer:
        nothing = np.zeros(0, np.float32)
        for index in STRETCH:
            writer.append(SegmentFrame(index, SCENE.masks(index)[:0], nothing, nothing, ()))

    def progress(items: Iterable[Any], total: int) -> Iterator[Any]:
        for item in items:
            at.append(len(read))
            yield item

    refine_segment(folder, Video(), tracks, GuardedRefiner(Together(), 0.7, 1.5), progress)
    assert at == [3, 3, 3, 5, 5]


def test_an_engine_that_forgets_a_mask_is_at_fault(tmp_path: Path, tracks: Path) -> None:
    class Forgets(Together):
        def refine_all(self, masks: Sequence[tuple[Frame, Probability]]) -> Iterator[Probability]:
            return super().refine_all(masks[1:])

    with pytest.raises(StageError, match="Forgets gave something of type NoneType"):
        refined(tmp_path / "refined", tracks, Forgets())


def test_a_refiner_cannot_bring_in_what_its_mask_knows_nothing_of() -> None:
    class Greedy:
        def refine(self, frame: Frame, probability: Probability) -> Probability:
            taken = probability.copy()
            taken[:, -30:] = 1
            return taken

    masks = SCENE.masks(0)[:1]
    assert not masks[:, :, -30:].any()
    refined, (decision,) = GuardedRefiner(Greedy(), 0.0, 1e9).refine(SCENE.frame(0), masks)
    np.testing.assert_array_equal(refined, masks)
    assert decision is not None and decision.accepted
