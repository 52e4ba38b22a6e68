"""The legend for those who paint: every object's colour, and a name that can be read."""

import numpy as np
import pytest
from PIL import features

from stages.core.palette import davis_palette
from stages.formats.objects_json import NAMELESS, NamedObject, Objects
from stages.steps.legend import draw_legend, in_words, objects_to_paint


def known(**names: str) -> Objects:
    listed = {int(key[1:]): NamedObject(int(key[1:]), name) for key, name in names.items()}
    return Objects(listed)


def drawn(objects: Objects, *ids: int) -> np.ndarray:
    return np.array(draw_legend(objects_to_paint(objects, ids)))


def colours(picture: np.ndarray) -> set[tuple[int, ...]]:
    """Those of the swatches: large, of one colour."""
    return {
        tuple(colour)
        for colour, count in zip(*np.unique(picture.reshape(-1, 3), axis=0, return_counts=True), strict=True)
        if count > 400
    }


@pytest.mark.slow
def test_every_object_has_a_row_in_the_colour_to_paint_in() -> None:
    for count in (1, 4, 254):
        picture = drawn(NAMELESS, *range(1, count + 1))
        expected = {tuple(davis_palette()[number].tolist()) for number in range(1, max(8, count) + 1)}
        assert expected <= colours(picture)
        assert max(picture.shape) < 3000
        assert (picture[0] == 255).all(), "on white, which is background"


def test_the_colour_is_that_of_masks_whatever_pages_show() -> None:
    red = Objects({1: NamedObject(1, "Rex", colour="#00ff00")})
    assert (0, 255, 0) not in colours(drawn(red))
    assert (128, 0, 0) in colours(drawn(red))


def test_those_are_shown_that_are_listed_or_drawn() -> None:
    assert [each.id for each in objects_to_paint(known(o3="a", o9="b"), (9, 12))] == [3, 9, 12]
    assert [each.id for each in objects_to_paint(NAMELESS, (3, 20))] == [*range(1, 9), 20]


@pytest.mark.parametrize("name", ["犬", "🐕", "a\u0301\u0302\u0e44", "हिन्दी"])
def test_a_name_that_the_font_cannot_write_becomes_the_objects_number(name: str) -> None:
    np.testing.assert_array_equal(drawn(known(o2=name)), drawn(known(o2="object 2")))


@pytest.mark.parametrize("name", ["Müller", "Mu\u0308ller", "Ωμέγα", "собака", "<b>&\"'", "ריקי"])
def test_other_names_are_written(name: str) -> None:
    if features.check("raqm") or name != "ריקי":
        assert not np.array_equal(drawn(known(o2=name)), drawn(known(o2="object 2")))


def test_long_names_are_cut() -> None:
    assert drawn(known(o1="W" * 100)).shape[1] < 700


def test_a_line_tells_the_first_few() -> None:
    assert in_words(NAMELESS) == ""
    assert in_words(known(o1="Rex", o2="Tom")) == " (1 Rex, 2 Tom)"
    assert in_words(known(**{f"o{number}": f"n{number}" for number in range(1, 9)})) == (
        " (1 n1, 2 n2, 3 n3, 4 n4, 5 n5, 6 n6 and 2 more)"
    )
