"""Previews of a frame: object by object, and in the end what the run makes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.core.strokes import FrameScribbles, Line
from stages.core.types import Frame, Probability
from stages.engines import registry
from stages.engines.protocols import Segmenter
from stages.formats.anchor_masks import MASK
from stages.formats.masks import read_mask
from stages.steps.page import preview
from stages.steps.page.preview import Canvas, Said, nearest_first
from stages.steps.segment_anchor import correct_anchor, segment_anchor
from tests.conftest import Clip

CLIP = Clip()
SQUARE, DISC = (Line(line["object_id"], tuple(map(tuple, line["path"]))) for line in CLIP.lines(3))
BACKGROUND = Line(0, ((0.02, 0.05), (0.02, 0.95)))


def grabcut() -> Segmenter:
    return registry.segmenter("grabcut", Path(), "cpu", {})


class Asked:
    """An engine that notes what it is asked for."""

    def __init__(self, engine: Segmenter | None = None, heeds_masks: bool = False) -> None:
        self.engine, self.heeds_masks = engine or grabcut(), heeds_masks
        self.objects, self.previous = list[tuple[int, ...]](), list[Probability | None]()

    def segment(self, frame: Frame, scribbles: FrameScribbles, previous: Probability | None = None) -> Probability:
        self.objects.append(scribbles.object_ids)
        self.previous.append(previous)
        return self.engine.segment(frame, scribbles, previous)


def said(*lines: Line, **more: object) -> Said:
    return Said(FrameScribbles(lines), **more)


def all_done(canvas: Canvas, what: Said, object_id: int, seen: np.ndarray | None = None) -> np.ndarray:
    shown = canvas.draw(what, object_id, seen)
    while shown.left:
        shown = canvas.draw(what, shown.left[0], seen)
    return shown.labels


def test_it_is_bit_for_bit_what_the_run_makes(tmp_path: Path) -> None:
    lines = (SQUARE, BACKGROUND, DISC)
    segment_anchor(tmp_path, CLIP.frame(3), FrameScribbles(lines), grabcut())
    assert (all_done(Canvas(CLIP.frame(3), grabcut()), said(*lines), 2) == read_mask(tmp_path / MASK)).all()


@pytest.mark.parametrize("absent", [(), (2,)])
@pytest.mark.parametrize("heeds_masks", [False, True])
def test_so_it_is_where_strokes_correct(tmp_path: Path, absent: tuple[int, ...], heeds_masks: bool) -> None:
    seen, lines = np.roll(CLIP.truth(3), 6, axis=1), (SQUARE, *([] if absent else [DISC]), BACKGROUND)
    engine = Asked(heeds_masks=heeds_masks)
    correct_anchor(tmp_path, CLIP.frame(3), FrameScribbles(lines), seen, absent, engine)
    what = said(*lines, corrects="a", absent=absent)
    labels = all_done(Canvas(CLIP.frame(3), engine), what, 1, seen)
    assert (labels == read_mask(tmp_path / MASK)).all() and (labels != seen).any()


def test_a_stroke_is_one_object_s_work_and_the_others_keep_their_masks() -> None:
    engine = Asked()
    canvas = Canvas(CLIP.frame(3), engine)
    first = canvas.draw(said(SQUARE, DISC), 2)
    assert (engine.objects, first.done, first.left) == ([(2,)], (2,), (1,))
    assert {*np.unique(first.labels)} == {0, 2}
    both = canvas.draw(said(SQUARE, DISC), 1)
    assert (engine.objects, both.done, both.left) == ([(2,), (1,)], (1, 2), ())
    more = Line(1, ((0.3, 0.3), (0.3, 0.4)))
    again = canvas.draw(said(SQUARE, DISC, more), 1)
    assert (again.done, again.left) == ((1,), (2,)), "to object 2 the new stroke is background"
    assert ((again.labels == 2) == (both.labels == 2)).all(), "until then it is as it was"
    canvas.draw(said(SQUARE, DISC, more), 2)
    assert engine.objects == [(2,), (1,), (1,), (2,)]
    canvas.draw(said(SQUARE, DISC, more), 2)
    canvas.draw(said(SQUARE, replace(DISC, object_id=0), more), 1)
    assert len(engine.objects) == 4, "whose the background is makes no difference"


def test_who_drew_a_background_stroke_looks_at_what_is_near() -> None:
    engine = Asked()
    canvas = Canvas(CLIP.frame(3), engine)
    near_the_disc = Line(0, ((0.9, 0.9), (0.95, 0.9)))
    assert canvas.draw(said(SQUARE, DISC, near_the_disc), 0).left == (1,)
    dots = [Line(each, ((each / 10, 0.5),)) for each in (1, 2, 5, 9)]
    assert nearest_first((1, 2, 5, 9), dots, 5) == [5, 2, 1, 9]
    assert nearest_first((1, 2), [Line(1, ((0.0, 0.0),)), dots[1], Line(1, dots[1].path)], 1) == [1, 2]
    assert nearest_first((1, 2, 5, 9), dots, 7) == [9, 5, 2, 1], "the last line is where somebody draws"


def test_an_object_without_strokes_is_not_there_and_what_is_undone_and_redone_is_known() -> None:
    engine = Asked()
    canvas = Canvas(CLIP.frame(3), engine)
    canvas.draw(said(SQUARE), 1)
    assert not canvas.draw(said(), 1).labels.any()
    canvas.draw(said(SQUARE, BACKGROUND), 1)
    assert canvas.draw(said(SQUARE), 1).left == () and engine.objects == [(1,)] * 2


def test_two_who_draw_on_one_frame_both_come_to_an_end() -> None:
    canvas = Canvas(CLIP.frame(3), grabcut())
    drawings = [said(SQUARE, DISC), said(SQUARE, DISC, BACKGROUND)]
    shown = [canvas.draw(each, object_id) for object_id in (1, 2) for each in drawings]
    assert [each.left for each in shown] == [(2,), (2,), (), ()]


def test_other_objects_keep_what_was_seen() -> None:
    seen, engine = np.roll(CLIP.truth(3), 6, axis=1), Asked()
    shown = Canvas(CLIP.frame(3), engine).draw(said(DISC, corrects="a"), 2, seen)
    assert (engine.objects, shown.done, shown.left) == ([(2,)], (2,), ())
    assert (engine.previous[0] == (seen == 2)).all(), "the engine is told what the object was"
    assert (shown.labels[seen == 1] == 1).all() and (shown.labels != seen).any()


def test_an_engine_that_heeds_masks_decides_all_objects_at_once() -> None:
    engine = Asked(heeds_masks=True)
    shown = Canvas(CLIP.frame(3), engine).draw(said(SQUARE, DISC), 1)
    assert (engine.objects, shown.left) == ([(1, 2)], ())


def test_a_slow_engine_is_preceded_by_a_quick_one(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, quick = Asked(), Asked()
    canvas = Canvas(CLIP.frame(3), slow, lambda: quick)
    monkeypatch.setattr(preview, "SLOW_S", 0)
    canvas.draw(said(SQUARE), 1)
    assert not quick.objects, "that it is slow is seen the first time"
    more = said(SQUARE, BACKGROUND)
    rough = canvas.draw(more, 1)
    assert (quick.objects, rough.done, rough.left) == ([(1,)], (), (1,))
    assert canvas.draw(more, 1).done == (1,)
    assert (len(slow.objects), len(quick.objects)) == (2, 1)


def test_a_large_frame_is_worked_on_at_a_smaller_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "MOST_LINES", 48)
    canvas = Canvas(CLIP.frame(3), grabcut())
    assert (canvas.scale, canvas.size_wh) == (0.5, (128, 96))
    assert canvas.draw(said(SQUARE), 1).labels.shape == (48, 64)
    corrected = canvas.draw(said(SQUARE, corrects="a"), 1, CLIP.truth(3)).labels
    assert corrected.shape == (48, 64) and (corrected == 2).any()
