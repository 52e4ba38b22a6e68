"""Anchors: what a person said of their frame holds against network and refiner."""

from pathlib import Path

import numpy as np
import pytest

from stages.core.drawing import NO_STROKE, rasterise
from stages.core.overlap import iou
from stages.core.states import Source
from stages.core.strokes import FrameScribbles, Line
from stages.core.types import LabelMap
from stages.engines import registry
from stages.formats.anchor_masks import AnchorMasks
from stages.formats.frames_csv import read_frames_csv
from stages.formats.masks import read_mask
from stages.steps.refine import GuardedRefiner, keep_anchor, refine_anchor
from stages.steps.segment_anchor import correct_anchor, take_given
from stages.testing.scenes import Scene

SCENE = Scene(60, 160, objects=3)
FRAME = SCENE.frame(0)


def truth() -> LabelMap:
    return ((SCENE.masks(0) > 0.5) * np.arange(1, 4)[:, None, None]).sum(axis=0).astype(np.uint8)


def refined(tmp_path: Path, masks: AnchorMasks, scribbles: FrameScribbles, refiner: str = "guided") -> LabelMap:
    masks.write(tmp_path)
    engine = registry.build("refiner", refiner, Path("none"), "cpu", {})
    refine_anchor(tmp_path, 0, FRAME, tmp_path, scribbles, GuardedRefiner(engine, 0.0, 1e9))
    return read_mask(tmp_path / "masks" / "00000.png")


def test_strokes_hold_against_network_and_refiner(tmp_path: Path) -> None:
    """A network that found nothing of object 1, and took everything else for object 2."""
    everything = np.stack([0 * SCENE.masks(0)[0], 1 - SCENE.masks(0)[0]])
    scribbles = SCENE.scribbles(1, 2)
    labels = refined(tmp_path, AnchorMasks((1, 2), everything), scribbles)
    drawn = rasterise(scribbles, (SCENE.width, SCENE.height))
    assert np.array_equal(labels[drawn != NO_STROKE], drawn[drawn != NO_STROKE])
    assert {*np.unique(drawn)} == {NO_STROKE, 0, 1, 2}
    first, second = read_frames_csv(tmp_path)
    assert (first.source, first.area_px) == (Source.LOST, np.count_nonzero(drawn == 1)), "the line alone"
    assert (second.source, second.area_px) == (Source.ANCHOR, np.count_nonzero(labels == 2))
    assert (first.sureness, second.sureness) == (0.0, pytest.approx(0.98, abs=0.02)), "looked at as they came"


def test_who_was_drawn_from_a_box_alone_is_told_from_others(tmp_path: Path) -> None:
    AnchorMasks((1, 2, 3), SCENE.masks(0)).write(tmp_path)
    engine = GuardedRefiner(registry.build("refiner", "guided", Path("none"), "cpu", {}), 0.0, 1e9)
    refine_anchor(tmp_path, 0, FRAME, tmp_path, SCENE.scribbles(1, 2, 3), engine, from_boxes=[2])
    assert [row.source for row in read_frames_csv(tmp_path)] == ["anchor", "box", "anchor"]


def test_what_is_kept_is_kept_whole_but_for_the_strokes_of_others(tmp_path: Path) -> None:
    probability = SCENE.masks(0).copy()
    probability[0] = 1  # object 1 is taken for everything
    probability[1] = truth() == 2
    through_the_second = FrameScribbles((Line(1, ((0.3, 0.5), (0.7, 0.5))),))
    labels = refined(tmp_path, AnchorMasks((1, 2, 3), probability, (2,)), through_the_second)
    drawn = rasterise(through_the_second, (SCENE.width, SCENE.height)) == 1
    assert np.array_equal(labels == 2, (truth() == 2) & ~drawn)
    assert [row.source for row in read_frames_csv(tmp_path)] == ["anchor", "given", "anchor"]


def test_a_given_mask_is_kept_as_it_is(tmp_path: Path) -> None:
    assert take_given(tmp_path, truth()) == [1, 2, 3]
    assert keep_anchor(tmp_path, 0, tmp_path) == [1, 2, 3]
    assert np.array_equal(read_mask(tmp_path / "masks" / "00000.png"), truth())
    row = read_frames_csv(tmp_path)[0]
    assert (row.source, row.score, row.accepted) == (Source.GIVEN, 1.0, None)
    assert take_given(tmp_path, truth() * 0) == keep_anchor(tmp_path, 0, tmp_path) == []


@pytest.mark.parametrize("name", ["grabcut", "fbrs:lite"])
def test_a_stroke_corrects_one_mask_from_what_it_was(tmp_path: Path, name: str) -> None:
    """Of object 2 a third was seen; a stroke is drawn over the rest of it."""
    seen = truth()
    columns = np.flatnonzero((seen == 2).any(axis=0))
    seen[:, columns[len(columns) // 3] :][truth()[:, columns[len(columns) // 3] :] == 2] = 0
    missing = columns[len(columns) // 2] / SCENE.width, columns[-len(columns) // 6] / SCENE.width
    scribbles = FrameScribbles((Line(2, tuple((x, 0.5) for x in missing)),))
    segmenter = registry.build("segmenter", name, Path("data/weights"), "cpu", {})
    assert correct_anchor(tmp_path, FRAME, scribbles, seen, (), segmenter) == [1, 2, 3]
    masks = AnchorMasks.read(tmp_path)
    assert masks.given == (1, 3)
    for object_id in (1, 3):
        assert np.array_equal(masks.probability[object_id - 1] > 0.5, seen == object_id)
    before, after = (float(iou(mask, truth() == 2)) for mask in (seen == 2, masks.probability[1] > 0.5))
    assert after > max(0.8, before + 0.2), (before, after)
