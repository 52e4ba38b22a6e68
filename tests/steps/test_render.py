"""Pictures show what they should, and nothing else."""

from pathlib import Path

import numpy as np
import pytest

from stages.core.errors import StageError
from stages.core.palette import davis_palette
from stages.core.strokes import FrameScribbles, Line
from stages.core.types import Frame
from stages.steps.render import (
    Tile,
    contact_sheet,
    overlay,
    overlay_strokes,
    shrink,
    window_around,
    write_jpeg,
)

GREY = 100


def grey(height: int, width: int) -> Frame:
    return np.full((height, width, 3), GREY, np.uint8)


def two_objects() -> np.ndarray:
    labels = np.zeros((60, 80), np.uint8)
    labels[10:40, 10:40] = 1
    labels[20:50, 50:70] = 2
    return labels


def test_overlay_paints_objects_in_their_colours_and_nothing_else() -> None:
    frame, labels = grey(60, 80), two_objects()
    painted = overlay(frame, labels)
    assert (frame == GREY).all()
    assert (painted[labels == 0] == GREY).all()
    for object_id in (1, 2):
        middle = painted[25, {1: 25, 2: 60}[object_id]].astype(int)
        coloured = davis_palette()[object_id] > 0
        assert middle[coloured].min() > GREY > middle[~coloured].max()


def test_overlay_marks_the_contour_inside_the_object() -> None:
    painted = overlay(grey(60, 80), two_objects())
    edge, middle = painted[10, 25].astype(int), painted[25, 25].astype(int)
    assert edge[0] > 220
    assert edge[1:].max() < 20
    assert 100 < middle[0] < 150
    assert 40 < middle[1] < 80


def test_overlay_without_objects_is_the_frame() -> None:
    assert (overlay(grey(6, 8), np.zeros((6, 8), np.uint8)) == GREY).all()


def test_strokes_show_on_a_mask_of_their_own_colour() -> None:
    colour = davis_palette()[1]
    frame = np.tile(colour, (50, 100, 1))
    drawn = overlay_strokes(frame, FrameScribbles((Line(1, ((0.2, 0.5), (0.8, 0.5))),)), thickness_px=3)
    column = drawn[:, 50]
    rim = np.flatnonzero((column == 255).all(axis=1))
    between = column[rim[0] : rim[-1] + 1]
    assert rim[0] < 25 < rim[-1]
    assert (between == colour).all(axis=1).sum() >= 3
    assert (np.delete(column, rim, axis=0) == colour).all()


def test_shrinking_makes_no_new_ids_and_never_enlarges() -> None:
    labels = (np.indices((90, 120)).sum(axis=0) % 2 * 7).astype(np.uint8)
    small = shrink(labels, 40)
    assert small.shape == (30, 40)
    assert set(np.unique(small)) <= {0, 7}, "no id between"
    assert np.unique(shrink(np.full((90, 120), 7, np.uint8), 40)).tolist() == [7]
    assert shrink(grey(30, 40), 40).shape == (30, 40, 3)
    assert shrink(grey(30, 40), 400).shape == (30, 40, 3)
    assert shrink(grey(1, 500), 50).shape == (1, 50, 3)


@pytest.mark.parametrize("corner", [(0, 0), (92, 192), (50, 100), (0, 192)])
def test_window_holds_a_small_object_in_the_frames_proportions(corner: tuple[int, int]) -> None:
    labels = np.zeros((100, 200), np.uint8)
    labels[corner[0] : corner[0] + 8, corner[1] : corner[1] + 8] = 3
    rows, columns = window_around(labels)
    assert np.count_nonzero(labels[rows, columns]) == 64
    assert labels[rows, columns].shape == (30, 60)


def test_window_is_the_frame_around_nothing_and_around_everything() -> None:
    everything = slice(0, 60), slice(0, 80)
    assert window_around(np.zeros((60, 80), np.uint8)) == everything
    assert window_around(np.ones((60, 80), np.uint8)) == everything


def test_labels_have_letters_beyond_those_of_english() -> None:
    picture = np.zeros((40, 200, 3), np.uint8)
    sheets = {contact_sheet([[Tile(picture, label)]]).tobytes() for label in ("ü", "é", "ж")}
    assert len(sheets) == 3, "none is the box of a missing letter"


def test_contact_sheet_holds_every_picture_unchanged_in_its_place() -> None:
    pictures = [np.full((40, 60, 3), (value, 0, 255), np.uint8) for value in (10, 60, 110, 160, 210)]
    tiles = [Tile(picture, f"frame {number}") for number, picture in enumerate(pictures)]
    sheet = contact_sheet([tiles[:3], tiles[3:]])
    corners = []
    for picture in pictures:
        found = (sheet == picture[0, 0]).all(axis=2)
        row, column = np.argwhere(found)[0]
        assert found[row : row + 40, column : column + 60].all()
        corners.append((row, column))
    assert corners[0][0] == corners[1][0] == corners[2][0] < corners[3][0] == corners[4][0]
    assert corners[0][1] == corners[3][1] < corners[1][1] == corners[4][1] < corners[2][1]
    below = sheet[corners[0][0] + 40 : corners[3][0], : corners[1][1]]
    assert below.min() < 150, "a label stands below the picture"


@pytest.mark.parametrize("rows", [[], [[]], [[Tile(grey(4, 4), ""), Tile(grey(4, 5), "")]]])
def test_contact_sheet_refuses_nothing_and_mixed_sizes(rows: list[list[Tile]]) -> None:
    with pytest.raises(StageError, match="sizes"):
        contact_sheet(rows)


def test_jpeg_is_written_whatever_the_suffix(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "picture.tmp", grey(8, 8))
    assert (tmp_path / "picture.tmp").read_bytes()[:2] == b"\xff\xd8"
