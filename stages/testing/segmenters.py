"""What every `Segmenter` must pass."""

# ruff: noqa: D102
# The name of a test says what it shows.

from collections.abc import Sequence

import numpy as np

from stages.core.strokes import FrameScribbles, Line
from stages.core.types import Frame, Probability
from stages.engines.protocols import HeedsMasks, Segmenter, UsesClicks
from stages.testing.checks import check_array, check_range, check_same, draw_random_numbers, unchanged
from stages.testing.scenes import ODD_SIZES_HW, Scene, frozen, mirrored


class SegmenterContract:
    """Tests of an engine that makes anchor masks from scribbles; a subclass says which one."""

    sizes_hw: Sequence[tuple[int, int]] = ODD_SIZES_HW
    """Height and width of the frames that show that any size will do; a slow engine may try fewer."""

    def engine(self) -> Segmenter:
        """A new engine at every call; one that is dear to make may be the same."""
        raise NotImplementedError(f"{type(self).__name__} does not say which engine it tests: define engine(self)")

    def test_one_object(self) -> None:
        scene = Scene()
        check_segment(self.engine(), scene.frame(0), scene.scribbles(), "one object")

    def test_five_objects(self) -> None:
        scene = Scene(40, 160, objects=5)
        check_segment(self.engine(), scene.frame(0), scene.scribbles(), "five objects")

    def test_ids_may_have_gaps_and_order_the_masks(self) -> None:
        scene, engine = Scene(objects=2), self.engine()
        masks = check_segment(engine, scene.frame(0), scene.scribbles(3, 200), "the objects 3 and 200")
        reversed_masks = check_segment(engine, scene.frame(0), scene.scribbles(200, 3), "the objects 200 and 3")
        differing = float(np.abs(masks - reversed_masks[::-1]).mean())
        assert differing < 0.02, (
            f"two objects that exchanged their ids differ by {differing:.3f} on average: expected masks in the order "
            "of scribbles.object_ids, whichever line was drawn first"
        )

    def test_without_a_line_there_is_no_mask(self) -> None:
        scene, engine = Scene(), self.engine()
        check_segment(engine, scene.frame(0), FrameScribbles((scene.background(),)), "a line on the background alone")
        check_segment(engine, scene.frame(0), FrameScribbles(()), "no line at all")
        only = FrameScribbles((scene.line(0, 2),))
        check_segment(engine, scene.frame(0), only, "no line on the background, and none of object 1")

    def test_dots(self) -> None:
        scene, engine = Scene(objects=2), self.engine()
        dots = scene.dot(0, 1), scene.dot(1, 2)
        check_segment(engine, scene.frame(0), FrameScribbles(dots[:1]), "a single point")
        check_segment(engine, scene.frame(0), FrameScribbles(dots), "a single point for each of two objects")
        (point,) = dots[0].path
        again = FrameScribbles((Line(1, (point, point, point)),))
        check_segment(engine, scene.frame(0), again, "the same point three times")

    def test_strokes_along_the_border(self) -> None:
        scene, engine = Scene(), self.engine()
        corners = (0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)
        for corner in corners:
            dot = FrameScribbles((Line(1, (corner,)),))
            check_segment(engine, scene.frame(0), dot, f"a point in the corner {corner}")
        around = FrameScribbles((Line(1, (*corners, corners[0])), scene.line(0, 2)))
        check_segment(engine, scene.frame(0), around, "a stroke around the frame")

    def test_strokes_across_each_other(self) -> None:
        scene, engine = Scene(), self.engine()
        same = FrameScribbles((scene.dot(0, 1), scene.dot(0, 2)))
        check_segment(engine, scene.frame(0), same, "two objects with the same point")
        diagonals = (
            Line(1, ((0.0, 0.0), (1.0, 1.0))),
            Line(2, ((1.0, 0.0), (0.0, 1.0))),
            Line(0, ((0.5, 0.0), (0.5, 1.0))),
        )
        zigzag = Line(1, tuple((float(step % 2), step / 16) for step in range(17)))
        check_segment(engine, scene.frame(0), FrameScribbles((zigzag,)), "a stroke all over the frame, and no others")
        check_segment(engine, scene.frame(0), FrameScribbles(diagonals), "three strokes that cross")

    def test_any_size_of_frame(self) -> None:
        engine = self.engine()
        for height, width in self.sizes_hw:
            scene = Scene(height, width)
            check_segment(engine, scene.frame(0), scene.scribbles(), f"a frame of {width}x{height}")

    def test_a_frame_of_one_colour(self) -> None:
        scene, engine = Scene(objects=2), self.engine()
        for level in (0, 128, 255):
            frame = frozen(np.full((scene.height, scene.width, 3), level, np.uint8))
            check_segment(engine, frame, scene.scribbles(), f"a frame that is all {level}")

    def test_to_an_object_the_strokes_of_others_are_background(self) -> None:
        scene, engine = Scene(objects=2), self.engine()
        if isinstance(engine, HeedsMasks) and engine.heeds_masks:
            return
        both = scene.scribbles()
        masks = np.array(engine.segment(scene.frame(0), both))
        for mask, object_id in zip(masks, both.object_ids, strict=True):
            alone = engine.segment(scene.frame(0), both.as_of(object_id))
            check_same(mask, alone[0], f"object {object_id}, the strokes of the other one called background")

    def test_previous_masks_are_taken(self) -> None:
        scene, engine = Scene(objects=2), self.engine()
        shape = scene.masks(0).shape
        everything = np.ones(shape, np.float32)
        for previous, what in ((scene.masks(0), "right"), (0 * everything, "empty"), (everything, "full")):
            check_segment(engine, scene.frame(0), scene.scribbles(), f"{what} previous masks", frozen(previous))

    def test_the_same_input_gives_the_same_bytes(self) -> None:
        scene, other, engine = Scene(objects=2), Scene(36, 50), self.engine()
        draw_random_numbers(1)
        first = np.array(engine.segment(scene.frame(0), scene.scribbles()))
        engine.segment(other.frame(1), other.scribbles())
        draw_random_numbers(2)
        check_same(first, engine.segment(scene.frame(0), scene.scribbles()), "the same engine, after another frame")
        draw_random_numbers(3)
        check_same(first, self.engine().segment(scene.frame(0), scene.scribbles()), "another engine of the kind")

    def test_a_view_of_a_larger_array_gives_the_same_bytes(self) -> None:
        scene, engine = Scene(objects=2), self.engine()
        expected = np.array(engine.segment(scene.frame(0), scene.scribbles()))
        for view in (mirrored(scene.frame(0)), np.repeat(scene.frame(0), 2, axis=1)[:, ::2]):
            check_same(expected, engine.segment(view, scene.scribbles()), "a frame that is not contiguous")

    def test_clicks_lie_on_the_frame(self) -> None:
        engine = self.engine()
        if not isinstance(engine, UsesClicks):
            return
        for scene in (Scene(objects=2), Scene(12, 12)):
            scribbles, (height, width) = scene.scribbles(), (scene.height, scene.width)
            used = engine.clicks_used(scribbles, (width, height))
            assert sorted(used) == list(scribbles.object_ids), (
                f"clicks_used: found the objects {sorted(used)}, expected {list(scribbles.object_ids)}"
            )
            for object_id, clicks in used.items():
                for sign, points in (("positive", clicks.positive_yx), ("negative", clicks.negative_yx)):
                    what = f"{sign} clicks of object {object_id}"
                    check_array(points, (len(points), 2), what)
                    inside = ((points >= 0) & (points <= (height - 1, width - 1))).all()
                    assert inside, f"{what}: expected rows and columns inside {width}x{height}, found {points.tolist()}"
                assert len(clicks.positive_yx), f"object {object_id} has a line, and no positive click"


def check_segment(
    engine: Segmenter, frame: Frame, scribbles: FrameScribbles, what: str, previous: Probability | None = None
) -> Probability:
    """Segment, and check what comes back, and that nothing that was given has changed.

    Args:
        engine: the engine.
        frame: (H, W, 3) uint8 RGB.
        scribbles: the lines.
        what: said if something is wrong.
        previous: (objects, H, W) float32 in [0, 1], if any.

    Returns:
        The masks.
    """
    lines = scribbles.lines
    with unchanged(frame=frame, previous=previous):
        masks = engine.segment(frame, scribbles, *([] if previous is None else [previous]))
    assert scribbles.lines == lines, f"{what}: the engine has changed the lines"
    check_range(masks, (len(scribbles.object_ids), *frame.shape[:2]), what)
    return masks
