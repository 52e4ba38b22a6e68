"""Refinement of a stretch."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stages.core.progress import silent
from stages.core.states import Source
from stages.core.types import Frame, Probability, SegmentFrame
from stages.engines.refiners.guided.engine import Guided
from stages.formats.tracks import writing_tracks
from stages.steps.refine import GuardedRefiner, refine_segment
from stages.testing.scenes import Scene

SCENE = Scene(objects=2)
STRETCH = range(1, 5)


@pytest.fixture
def tracks(tmp_path: Path) -> Path:
    folder = tmp_path / "tracks"
    folder.mkdir()
    with writing_tracks(folder, STRETCH, (1, 2), [Source.BOTH] * 2) as writer:
        for index in STRETCH:
            ones = np.ones(2, np.float32)
            writer.append(SegmentFrame(index, SCENE.masks(index), ones, ones, (None, None)))
    return folder


def test_reading_ahead_changes_nothing(tmp_path: Path, tracks: Path) -> None:
    def files(ahead: bool) -> Iterator[tuple[str, bytes]]:
        folder = tmp_path / f"refined-{ahead}"
        folder.mkdir()
        video = [SCENE.frame(index) for index in range(6)]
        refine_segment(folder, video, tracks, GuardedRefiner(Guided(), 0.7, 1.5), silent, ahead)
        return ((str(file.relative_to(folder)), file.read_bytes()) for file in sorted(folder.rglob("*.*")))

    one, other = dict(files(False)), dict(files(True))
    assert len(one) > len(STRETCH)
    assert one == other


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
