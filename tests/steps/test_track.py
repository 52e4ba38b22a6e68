"""Propagation over a stretch."""

from pathlib import Path

import numpy as np
import pytest

from stages.core.fusion import label_map
from stages.core.plan import Segment
from stages.core.progress import silent
from stages.engines import registry
from stages.formats.tracks import read_tracks
from stages.steps.segment_anchor import take_given
from stages.steps.track import track_segment
from stages.testing.scenes import Scene, Video

SCENE = Scene(48, 64)


@pytest.mark.parametrize("propagator", ["flow", pytest.param("match:lite", marks=pytest.mark.slow)])
def test_reading_ahead_changes_nothing(tmp_path: Path, propagator: str) -> None:
    anchors = {index: tmp_path / str(index) for index in (1, 7)}
    for index, anchor in anchors.items():
        anchor.mkdir()
        take_given(anchor, label_map(SCENE.masks(index), [1]))

    def masks(ahead: bool) -> np.ndarray:
        folder = tmp_path / f"ahead-{ahead}"
        folder.mkdir()
        video, engine = Video(SCENE, 9, range(9)), registry.build("propagator", propagator, Path("none"), "cpu", {})
        track_segment(folder, video, Segment(1, 7, 1, 7), anchors, engine, silent, ahead)
        assert set(video.reads) == set(range(1, 8))  # nothing beyond the stretch and its anchors
        return np.stack([frame.probability for frame in read_tracks(folder)])

    one, other = masks(False), masks(True)
    assert len(one) == 5 and (one > 0.5).any(axis=(1, 2, 3)).all()
    assert np.array_equal(one, other)
