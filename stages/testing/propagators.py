"""What every `Propagator` must pass."""

# ruff: noqa: D102
# The name of a test says what it shows.

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.core.states import Gone, Source
from stages.core.types import Anchor, Probability, SegmentFrame
from stages.engines.protocols import Propagator
from stages.testing.checks import check_array, check_range, check_same, draw_random_numbers, unchanged
from stages.testing.scenes import ODD_SIZES_HW, Scene, Video, mirrored

_FRAME_COUNT = 9
_LEFT, _RIGHT = 2, 6
_ROUNDING = 0.05
"""How far the agreement may be from what disagreement at the frame's size comes to."""


class PropagatorContract:
    """Tests of an engine that carries masks from anchors to other frames; a subclass says which one."""

    sizes_hw: Sequence[tuple[int, int]] = ODD_SIZES_HW
    """Height and width of the frames that show that any size will do; a slow engine may try fewer."""
    most_frames_kept: int = 8
    """How many of the video's frames the engine may hold in memory at once, however long the stretch is."""

    def engine(self) -> Propagator:
        """A new engine at every call; one that is dear to make may be the same."""
        raise NotImplementedError(f"{type(self).__name__} does not say which engine it tests: define engine(self)")

    def test_between_two_anchors(self) -> None:
        scene = Scene()
        check_stretch(self.engine(), scene, scene.anchor(_LEFT), scene.anchor(_RIGHT), "two anchors")

    def test_from_the_left_to_the_end(self) -> None:
        scene = Scene(objects=2)
        check_stretch(self.engine(), scene, scene.anchor(_RIGHT), None, "an anchor on the left alone")

    def test_from_the_right_to_the_beginning(self) -> None:
        scene = Scene(objects=2)
        check_stretch(self.engine(), scene, None, scene.anchor(_LEFT), "an anchor on the right alone")

    def test_stretches_of_one_frame_and_of_none(self) -> None:
        scene, engine = Scene(), self.engine()
        check_stretch(engine, scene, scene.anchor(2), scene.anchor(4), "a stretch of one frame")
        check_stretch(engine, scene, scene.anchor(_FRAME_COUNT - 2), None, "a stretch of one frame at the end")
        check_stretch(engine, scene, None, scene.anchor(1), "a stretch of one frame at the beginning")
        check_stretch(engine, scene, scene.anchor(3), scene.anchor(4), "neighbouring anchors, with nothing between")

    def test_five_objects(self) -> None:
        scene = Scene(40, 160, objects=5)
        check_stretch(self.engine(), scene, scene.anchor(3), scene.anchor(6), "five objects")

    def test_objects_that_touch_or_overlap(self) -> None:
        scene, engine = Scene(objects=3, touch=True), self.engine()
        check_stretch(engine, scene, scene.anchor(3), scene.anchor(6), "objects that touch")
        left, right = (scene.anchor(index, scene.masks(index)[[0, 0, 2]]) for index in (3, 6))
        check_stretch(engine, scene, left, right, "two objects in one place")

    def test_an_object_that_one_anchor_lacks(self) -> None:
        scene, engine = Scene(objects=2), self.engine()
        for lacking in (_LEFT, _RIGHT):
            left, right = (
                scene.anchor(index, without(scene.masks(index), 0) if index == lacking else None)
                for index in (_LEFT, _RIGHT)
            )
            check_stretch(engine, scene, left, right, f"object 0 is absent on anchor {lacking}")

    def test_objects_that_cross_over(self) -> None:
        scene = Scene(objects=2)
        left, right = (scene.anchor(index, without(scene.masks(index), index == _RIGHT)) for index in (_LEFT, _RIGHT))
        check_stretch(self.engine(), scene, left, right, "object 0 only on the right anchor, object 1 only on the left")

    def test_an_object_that_no_anchor_has(self) -> None:
        scene, engine = Scene(objects=2), self.engine()
        left, right = (scene.anchor(index, without(scene.masks(index), 0)) for index in (_LEFT, _RIGHT))
        check_stretch(engine, scene, left, right, "object 0 is absent on both anchors")
        check_stretch(engine, scene, left, None, "object 0 is absent on the only anchor")

    def test_no_object_at_all(self) -> None:
        scene, engine = Scene(objects=2), self.engine()
        left, right = (scene.anchor(index, 0 * scene.masks(index)) for index in (_LEFT, _RIGHT))
        check_stretch(engine, scene, left, right, "both objects are absent on both anchors")
        check_stretch(engine, scene, None, left, "both objects are absent on the only anchor")

    def test_a_faint_mask_is_an_absent_object(self) -> None:
        scene = Scene(objects=2)
        faint = np.array([0.5, 1], np.float32)[:, None, None]
        left, right = (scene.anchor(index, faint * scene.masks(index)) for index in (_LEFT, _RIGHT))
        check_stretch(self.engine(), scene, left, right, "object 0 is nowhere above 0.5")

    def test_masks_of_any_extent(self) -> None:
        scene, engine = Scene(), self.engine()
        dot, corner = np.zeros((2, 1, scene.height, scene.width), np.float32)
        dot[:, 20, 30] = corner[:, -9:, -9:] = 1
        border = np.zeros_like(dot)
        border[:, 0] = border[:, :, 0] = 1
        for mask, what in ((dot, "one pixel"), (corner, "a corner"), (border, "two sides"), (dot * 0 + 1, "the frame")):
            left, right = (scene.anchor(index, mask) for index in (3, 6))
            check_stretch(engine, scene, left, right, f"a mask that is {what}")

    def test_any_size_of_frame(self) -> None:
        engine = self.engine()
        for height, width in self.sizes_hw:
            scene = Scene(height, width)
            check_stretch(engine, scene, scene.anchor(3), scene.anchor(6), f"frames of {width}x{height}")

    def test_further_anchors_are_taken(self) -> None:
        scene, engine = Scene(objects=2), self.engine()
        left, right = scene.anchor(3), scene.anchor(5)
        for indices in ((), (0,), (8,), (0, 1, 8)):
            beyond = [scene.anchor(index) for index in indices]
            check_stretch(engine, scene, left, right, f"anchors beyond at {indices}", beyond)
        check_stretch(engine, scene, None, left, "one anchor, another beyond it", [scene.anchor(5)])

    def test_the_same_input_gives_the_same_bytes(self) -> None:
        scene, other, engine = Scene(objects=2), Scene(36, 50), self.engine()
        anchors = scene.anchor(_LEFT), scene.anchor(_RIGHT)
        draw_random_numbers(1)
        first = check_stretch(engine, scene, *anchors, "two objects")
        check_stretch(engine, other, other.anchor(3), None, "another video")
        draw_random_numbers(2)
        check_same_frames(
            first, check_stretch(engine, scene, *anchors, "again"), "the same engine, after another video"
        )
        draw_random_numbers(3)
        check_same_frames(first, check_stretch(self.engine(), scene, *anchors, "again"), "another engine of the kind")

    def test_views_of_larger_arrays_give_the_same_bytes(self) -> None:
        scene, engine = Scene(objects=2), self.engine()
        anchors = scene.anchor(3), scene.anchor(6)
        expected = check_stretch(engine, scene, *anchors, "contiguous arrays")
        left, right = (Anchor(each.index, mirrored(each.frame), mirrored(each.masks)) for each in anchors)
        check_same_frames(expected, check_stretch(engine, scene, left, right, "anchors that are views"), "views")

    def test_a_stretch_may_be_abandoned(self) -> None:
        scene, engine = Scene(), self.engine()
        anchors = scene.anchor(_LEFT), scene.anchor(_RIGHT)
        whole = check_stretch(engine, scene, *anchors, "a whole stretch")
        video = Video(scene, _FRAME_COUNT, range(_LEFT, _RIGHT + 1))
        engine.propagate(video, *anchors)
        abandoned = engine.propagate(video, *anchors)
        next(abandoned)
        del abandoned
        check_same_frames(whole, check_stretch(engine, scene, *anchors, "again"), "after an abandoned stretch")

    def test_a_long_stretch_is_not_held_in_memory(self) -> None:
        scene, engine, count = Scene(24, 32), self.engine(), 2 * self.most_frames_kept
        for left, right in ((scene.anchor(0), scene.anchor(count - 1)), (scene.anchor(0), None)):
            video = Video(scene, count, range(count))
            for _ in engine.propagate(video, left, right):
                pass
            assert video.most_kept <= self.most_frames_kept, (
                f"in a stretch of {count} frames {video.most_kept} were kept in memory at once, expected at most "
                f"{self.most_frames_kept}: frames are read one by one, so that any length of video will do"
            )


def without(masks: Probability, number: int) -> Probability:
    """The masks (objects, H, W), one of them empty."""
    changed: Probability = masks.copy()
    changed[number] = 0
    return changed


def check_stretch(
    engine: Propagator,
    scene: Scene,
    left: Anchor | None,
    right: Anchor | None,
    what: str,
    beyond: Sequence[Anchor] = (),
) -> list[SegmentFrame]:
    """Carry masks over a stretch; check every frame, what was read, and that nothing that was given has changed.

    Args:
        engine: the engine.
        scene: what is seen.
        left: the anchor before the stretch.
        right: the anchor after it.
        what: said if something is wrong.
        beyond: further anchors.

    Returns:
        The frames.
    """
    given = [anchor for anchor in (left, right, *beyond) if anchor is not None]
    stretch = range(0 if left is None else left.index + 1, _FRAME_COUNT if right is None else right.index)
    ends = [anchor for anchor in (left, right) if anchor is not None]
    video = Video(scene, _FRAME_COUNT, {*stretch, *(anchor.index for anchor in ends)})
    arrays = {f"{name} of anchor {each.index}": getattr(each, name) for each in given for name in ("frame", "masks")}
    with unchanged(**arrays):
        produced = engine.propagate(video, left, right, beyond) if beyond else engine.propagate(video, left, right)
        assert iter(produced) is produced, f"{what}: propagate gave {type(produced).__name__}, expected an iterator"
        results, when_given = [], []
        for result in produced:
            results.append(result)
            when_given.append(_bytes(result))
    indices = [result.index for result in results]
    assert indices == list(stretch), f"{what}: found the frames {indices}, expected {list(stretch)}"
    for result, before in zip(results, when_given, strict=True):
        where = f"{what}, frame {result.index}"
        assert _bytes(result) == before, f"{where}: the result was overwritten when a later frame was made"
        _check_frame(result, ends, (scene.height, scene.width), where)
        names = [list(each.directions) for each in (result, results[0])]
        assert names[0] == names[1], f"{where}: found the directions {names[0]}, on the first frame {names[1]}"
    return results


def check_same_frames(one: Sequence[SegmentFrame], other: Sequence[SegmentFrame], what: str) -> None:
    """Equal byte for byte, but for the words that say why a mask is lost."""
    for first, second in zip(one, other, strict=True):
        for name in ("probability", "score", "agreement"):
            check_same(getattr(first, name), getattr(second, name), f"{what}, frame {first.index}, {name}")
        told = [each.disagreement is not None for each in (first, second)]
        assert told[0] == told[1], f"{what}, frame {first.index}: found disagreement once, and once None"
        if first.disagreement is not None and second.disagreement is not None:
            check_same(first.disagreement, second.disagreement, f"{what}, frame {first.index}, disagreement")
        for name, direction in first.directions.items():
            again, where = second.directions[name], f"{what}, frame {first.index}, {name}"
            check_same(direction.box_xyxy, again.box_xyxy, f"{where}, box_xyxy")
            check_same(direction.score, again.score, f"{where}, score")
        assert first.gone == second.gone, f"{what}, frame {first.index}: found {first.gone} and {second.gone}"


def _check_frame(result: SegmentFrame, ends: Sequence[Anchor], size_hw: tuple[int, int], where: str) -> None:
    """One frame between the anchors at the ends of its stretch."""
    shown = np.array([(anchor.masks > 0.5).any(axis=(1, 2)) for anchor in ends])
    count = shown.shape[1]
    check_range(result.probability, (count, *size_hw), f"{where}, probability")
    check_range(result.score, (count,), f"{where}, score")
    assert isinstance(result.gone, tuple) and len(result.gone) == count, (
        f"{where}, gone: found {result.gone!r}, expected a tuple with one entry for each of {count} objects"
    )
    for number, gone in enumerate(result.gone):
        _check_gone(gone, result.probability[number], bool(shown[:, number].any()), f"{where}, object {number}")
    agreed = result.agreement
    known = agreed[np.isfinite(agreed)]
    check_array(np.nan_to_num(agreed), (count,), f"{where}, agreement")
    check_range(known, known.shape, f"{where}, agreement")
    _check_disagreement(result, (count, *size_hw), where)
    alone = np.isfinite(agreed) & (shown.sum(axis=0) < 2)
    assert not alone.any(), (
        f"{where}, agreement: found {agreed[alone]} for the objects {np.flatnonzero(alone)}, expected NaN, since only "
        "one anchor has them"
    )
    for name, direction in result.directions.items():
        assert name in {"forward", "backward"}, f"{where}: found the direction {name!r}, expected forward or backward"
        check_range(direction.score, (count,), f"{where}, {name}, score")
        check_array(direction.box_xyxy, (count, 4), f"{where}, {name}, box_xyxy")
        ordered = (direction.box_xyxy[:, :2] <= direction.box_xyxy[:, 2:]).all()
        assert ordered, f"{where}, {name}, box_xyxy: a right or bottom lies before left or top: {direction.box_xyxy}"


def _check_disagreement(result: SegmentFrame, shape: tuple[int, ...], where: str) -> None:
    """Where directions disagree, and by how much, say the same, as far as one follows from the other."""
    differing = result.disagreement
    if differing is None:
        return
    where = f"{where}, disagreement"
    assert isinstance(differing, np.ndarray), f"{where}: found {type(differing).__name__}, expected a numpy array"
    assert differing.dtype == np.bool_, f"{where}: found {differing.dtype}, expected bool"
    assert differing.shape == shape, f"{where}: found the shape {differing.shape}, expected {shape}"
    for number, (layer, agreed) in enumerate(zip(differing, result.agreement.tolist(), strict=True)):
        count = int(np.count_nonzero(layer))
        if np.isnan(agreed):
            assert not count, f"{where}: found {count} pixels of object {number}, whose agreement is NaN, expected none"
            continue
        # Both masks together have count / (1 - agreement) pixels. Agreement may be found at another size.
        most = (1 - agreed + _ROUNDING) * layer.size
        assert count <= most, (
            f"{where}: found {count} pixels of object {number}, whose agreement is {agreed:.3f}, expected {most:.0f} "
            f"at most, since both masks lie in a frame of {layer.size}"
        )
        assert count or agreed > 0.5, (
            f"{where}: found no pixel of object {number}, whose agreement is {agreed:.3f}, expected some"
        )


def _check_gone(gone: Gone | None, mask: Probability, is_shown: bool, where: str) -> None:
    """Why a mask is empty is said exactly where it is."""
    inside_px = int(np.count_nonzero(mask > 0.5))
    if gone is None:
        assert inside_px, f"{where}: the mask has no pixel above 0.5, and gone does not say why"
        return
    assert isinstance(gone, Gone), f"{where}: found gone = {gone!r}, expected None or a Gone"
    assert not mask.any(), f"{where}: gone says {gone}, but {np.count_nonzero(mask)} pixels of the mask are not 0"
    assert gone.source in (Source.ABSENT, Source.LOST), f"{where}: gone says {gone.source!r}, expected absent or lost"
    if is_shown:
        assert gone.detail, (
            f"{where}: an anchor shows the object that is {gone.source}, and gone.detail does not say why"
        )
    else:
        assert gone.source == Source.ABSENT, (
            f"{where}: gone says {gone.source!r}, expected {Source.ABSENT!r}: no anchor at the ends of the stretch has "
            "a pixel above 0.5 of the object"
        )


def _bytes(result: SegmentFrame) -> list[bytes]:
    arrays: list[NDArray[Any]] = [result.probability, result.score, result.agreement]
    arrays += [] if result.disagreement is None else [result.disagreement]
    for direction in result.directions.values():
        arrays += [direction.box_xyxy, direction.score]
    return [np.asarray(array).tobytes() for array in arrays]
