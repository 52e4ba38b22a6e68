from collections.abc import Iterable

import numpy as np
import pytest

from stages.core.errors import InputError
from stages.exchange.incoming.composing import Composed, Objects, compose
from stages.exchange.incoming.protocol import BACKGROUND, UNKNOWN, Picture, Shape

SIZE_WH = (6, 4)


def area(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """(H, W) bool: x, y, width, height of rectangles."""
    mask = np.zeros(SIZE_WH[::-1], bool)
    for x, y, width, height in boxes:
        mask[y : y + height, x : x + width] = True
    return mask


def composed(content: np.ndarray | Iterable[Shape], objects: Objects | None = None, name: str = "a") -> Composed:
    picture = Picture(name, f"x.xml, image {name}", lambda: content, SIZE_WH)
    done = compose(picture, objects or Objects(frozenset({1, 2})), SIZE_WH, "00000.jpg")
    assert done is not None
    return done


def test_a_pixel_claimed_twice_goes_to_the_later_shape_and_is_counted() -> None:
    first, second, part = Shape(area((0, 0, 4, 2)), 1), Shape(area((2, 0, 2, 4)), 2), Shape(area((0, 0, 1, 1)), 1)
    done = composed([first, second, part])
    assert done.labels.tolist() == [[1, 1, 2, 2, 0, 0], [1, 1, 2, 2, 0, 0], [0, 0, 2, 2, 0, 0], [0, 0, 2, 2, 0, 0]]
    assert done.claimed_twice_px == 4


def test_background_cuts_holes_and_is_no_second_claim() -> None:
    done = composed([Shape(area((0, 0, 3, 3)), 1), Shape(area((1, 1, 1, 1)), BACKGROUND), Shape(area((1, 1, 1, 1)), 2)])
    assert (done.labels[1, 1], done.claimed_twice_px) == (2, 0)
    done = composed([Shape(area((0, 0, 3, 3)), 1), Shape(area((1, 1, 1, 1)), label="background")])
    assert (done.labels[1, 1], done.labels[0, 0]) == (0, 1)


def test_the_unknown_takes_the_nearest_other_value_and_is_counted() -> None:
    labels = np.array([[1, 1, 255, 255, 0, 0]] * 4, np.uint8)
    done = composed(labels)
    assert (done.labels.tolist(), done.unknown_px) == ([[1, 1, 1, 0, 0, 0]] * 4, 8)
    done = composed([Shape(area((0, 0, 6, 4)), 1), Shape(area((5, 0, 1, 1)), UNKNOWN)])
    assert (int(done.labels.min()), done.unknown_px) == (1, 1)
    with pytest.raises(InputError, match=r"x\.xml, image a: found nothing but 255"):
        composed(np.full((4, 6), 255, np.uint8))


def test_another_size_is_refused_before_anything_is_decoded() -> None:
    def never() -> np.ndarray:
        raise AssertionError("it was decoded")

    with pytest.raises(InputError) as told:
        compose(Picture("a", "x.xml, image a", never, (1280, 720)), Objects(frozenset()), SIZE_WH, "00012.jpg")
    assert str(told.value) == (
        "x.xml, image a: found 1280x720 pixels, expected 6x4 as in 00012.jpg; export it without scaling"
    )
    with pytest.raises(InputError, match=r"found 4x6 pixels, expected 6x4 as in 00000\.jpg"):
        composed(np.zeros((6, 4), np.uint8))


def test_ids_without_meaning_are_refused_with_their_pixels() -> None:
    labels = np.array([[7, 9, 9, 1, 2, 0]] * 4, np.uint8)
    with pytest.raises(InputError) as told:
        composed(labels)
    assert str(told.value) == (
        "x.xml, image a: found the ids 7, 9 on 12 pixels, expected objects 1, 2 (objects.json); correct the picture, "
        "or list them"
    )
    with pytest.raises(InputError, match="found the id 3 on 1 pixel, expected objects 1, 2"):
        composed([Shape(area((0, 0, 1, 1)), 3)])
    assert composed(labels, Objects(frozenset({1, 2}), takes_new=True)).labels.max() == 9
    assert composed(labels, Objects(frozenset())).labels.max() == 9  # nobody has said which objects there are


@pytest.mark.parametrize("object_id", [-1, 256, 10**30])
def test_an_id_that_is_no_objects_is_refused(object_id: int) -> None:
    with pytest.raises(InputError, match=r"x\.xml, image a, mask 2: found the object .*, expected 1 to 254"):
        composed([Shape(area(), object_id, where="mask 2")], Objects(frozenset(), takes_new=True))


def test_a_name_is_looked_up_and_a_class_is_none() -> None:
    objects = Objects(frozenset({1, 2}), {"Rex": 2})
    assert composed([Shape(area((0, 0, 1, 1)), label=" Rex ")], objects).labels[0, 0] == 2
    with pytest.raises(InputError, match=r"mask 1: found a mask 'dog' without an object's id, .*--new-objects"):
        composed([Shape(area((0, 0, 1, 1)), label="dog", where="mask 1")], objects)


def test_new_objects_get_the_next_free_ids_the_same_on_all_pictures() -> None:
    objects = Objects(frozenset({1, 3}), takes_new=True)
    cat, emu = Shape(area((0, 0, 1, 1)), label="cat"), Shape(area((1, 0, 1, 1)), label="emu")
    assert composed([cat, emu], objects).labels[0, :2].tolist() == [2, 4]
    assert composed([emu], objects, "b").labels[0, 1] == 4
    assert objects.new == {("cat", 0): 2, ("emu", 0): 4}


def test_several_new_ones_of_a_name_can_be_told_apart_on_one_picture_only() -> None:
    two = [Shape(area((0, 0, 1, 1)), label="cat"), Shape(area((1, 0, 1, 1)), label="cat")]
    objects = Objects(frozenset(), takes_new=True)
    assert composed(two, objects).labels[0, :2].tolist() == [1, 2]
    with pytest.raises(InputError, match="several on one picture, and others on another"):
        composed(two[:1], objects, "b")
    objects = Objects(frozenset(), takes_new=True)
    composed(two[:1], objects)
    with pytest.raises(InputError, match="several on one picture, and others on another"):
        composed(two, objects, "b")


def test_a_given_id_never_falls_together_with_a_new_one() -> None:
    objects = Objects(frozenset({1}), takes_new=True)
    composed([Shape(area((0, 0, 1, 1)), label="cat")], objects)
    with pytest.raises(InputError, match="found the object 2, which a mask without an id has got just now"):
        composed([Shape(area((0, 0, 1, 1)), 2)], objects)


def test_no_shape_says_nothing() -> None:
    picture = Picture("a", "x.xml, image a", lambda: [], SIZE_WH)
    assert compose(picture, Objects(frozenset()), SIZE_WH, "00000.jpg") is None


def test_there_are_254_objects_at_most() -> None:
    objects = Objects(frozenset(range(1, 255)), takes_new=True)
    with pytest.raises(InputError, match="found more than 254 objects"):
        composed([Shape(area(), label="one more")], objects)
