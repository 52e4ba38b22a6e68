"""Masks at the size of what was imported, and where that is found."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError
from stages.core.overlap import iou
from stages.exchange.outgoing.at_source import at_source, enlarged_exactly, find_source, source_frames
from stages.exchange.outgoing.soft import SoftFrame
from stages.steps.import_video import import_sequence
from tests.steps.test_import_video import film, pictures


@pytest.fixture
def imported(tmp_path: Path) -> tuple[Path, Path]:
    """A video, and the smaller frames that an import made of it."""
    video = film(tmp_path / "dog.mp4", range(0, 240, 24), size_wh=(96, 64))
    folder = tmp_path / "data" / "dog"
    folder.parent.mkdir()
    import_sequence(video, folder, 48)
    return video, folder


def test_the_source_is_found_where_the_import_found_it(imported: tuple[Path, Path]):
    video, folder = imported
    assert find_source(folder) == video


def test_a_source_that_has_moved_is_found_by_option_alone(imported: tuple[Path, Path], tmp_path: Path):
    video, folder = imported
    moved = tmp_path / "elsewhere.mp4"
    shutil.move(video, moved)
    with pytest.raises(InputError, match=r"dog\.mp4: found .*moved.*--source") as told:
        find_source(folder)
    assert "\n" not in str(told.value)
    assert find_source(folder, moved) == moved


def test_another_video_in_its_place_is_refused(imported: tuple[Path, Path]):
    video, folder = imported
    film(video, range(10), size_wh=(96, 64))
    with pytest.raises(InputError, match="another content than dog was imported from"):
        find_source(folder)


def test_frames_that_nobody_imported_are_their_own_source(tmp_path: Path):
    folder = pictures(tmp_path / "dog", ["00000.png", "00001.png"])
    assert find_source(folder) == folder


def test_a_video_is_decoded_at_its_own_size_in_order(imported: tuple[Path, Path]):
    video, _ = imported
    frames = list(source_frames(video, range(10)))
    assert {frame.shape for frame in frames} == {(64, 96, 3)}
    np.testing.assert_allclose([frame.mean() for frame in frames], range(0, 240, 24), atol=3)
    some = list(source_frames(video, [2, 5, 9]))
    for frame, index in zip(some, (2, 5, 9), strict=True):
        np.testing.assert_array_equal(frame, frames[index])


def test_a_source_that_ends_too_early_is_told(imported: tuple[Path, Path]):
    with pytest.raises(InputError, match="end before frame 10"):
        list(source_frames(imported[0], [3, 10]))


def test_a_folder_is_read_by_its_order(tmp_path: Path):
    folder = pictures(tmp_path / "dog", ["a10.png", "a9.png", "a11.png"])
    (last,) = source_frames(folder, [2])
    np.testing.assert_array_equal(last, np.asarray(Image.open(folder / "a11.png")))


# --- the masks -------------------------------------------------------------------------------------------------------


def scene(factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Two discs that touch on grey, so much larger than 60x40: (ids, picture)."""
    y, x = (np.mgrid[: 40 * factor, : 60 * factor] + 0.5) / factor
    labels = np.zeros(x.shape, np.uint8)
    labels[np.hypot(x - 22, y - 20) < 9.3] = 1
    labels[np.hypot(x - 40, y - 20) < 8.8] = 2
    return labels, np.array([[90, 90, 90], [200, 60, 40], [40, 80, 220]], np.uint8)[labels]


def soft_of(labels: np.ndarray, sure: float = 0.9) -> SoftFrame:
    masks = [np.where(labels == each, sure, 1 - sure).astype(np.float32) for each in (1, 2)]
    return SoftFrame(0, (1, 2), np.stack(masks))


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_a_refined_boundary_is_nearer_to_the_truth_than_one_that_is_only_enlarged(factor: int):
    truth, picture = scene(factor)
    small, _ = scene(1)
    found = at_source(small, soft_of(small), picture)
    only_enlarged = enlarged_exactly(small, picture.shape[1::-1])
    for each in (1, 2):
        assert iou(found == each, truth == each) > iou(only_enlarged == each, truth == each) + 0.005


def test_a_mask_of_the_source_s_size_stays_as_it_is():
    labels, picture = scene(1)
    assert at_source(labels, soft_of(labels, 0.2), picture) is labels


def test_nothing_changes_away_from_a_boundary():
    small, _ = scene(1)
    noise = np.random.default_rng(0).integers(0, 256, (80, 120, 3)).astype(np.uint8)
    found, before = at_source(small, soft_of(small), noise), enlarged_exactly(small, (120, 80))
    y, x = (np.mgrid[:80, :120] + 0.5) / 2
    distance = np.minimum(abs(np.hypot(x - 22, y - 20) - 9.3), abs(np.hypot(x - 40, y - 20) - 8.8))
    assert not (found != before)[distance > 4].any()


def test_no_gap_opens_between_objects_that_touch():
    small = np.zeros((20, 30), np.uint8)
    small[4:16, 4:15], small[4:16, 15:26] = 1, 2
    picture = np.full((50, 75, 3), 128, np.uint8)
    assert (at_source(small, soft_of(small), picture)[15:35, 15:60] > 0).all()


def test_what_the_soft_mask_says_otherwise_does_not_move_the_result():
    small, _ = scene(1)
    _, picture = scene(2)
    elsewhere = SoftFrame(0, (1, 2), np.roll(soft_of(small).probability, 3, axis=1))
    assert iou(at_source(small, elsewhere, picture) == 1, scene(2)[0] == 1) > 0.95


def test_what_a_person_gave_is_the_same_when_it_is_shrunk_again():
    given = np.random.default_rng(0).integers(0, 5, (48, 85)).astype(np.uint8)
    for size_wh in ((85, 48), (170, 96), (191, 108), (320, 180)):
        large = enlarged_exactly(given, size_wh)
        rows = ((np.arange(48) + 0.5) * size_wh[1] / 48).astype(int)
        columns = ((np.arange(85) + 0.5) * size_wh[0] / 85).astype(int)
        np.testing.assert_array_equal(large[np.ix_(rows, columns)], given)


def test_what_is_thin_is_not_filtered_away():
    small = np.zeros((20, 30), np.uint8)
    small[10, 3:25], small[4, 4], small[15, 20] = 1, 2, 3
    picture = np.full((50, 75, 3), 128, np.uint8)
    found = at_source(small, soft_of(small, 0.51), picture)
    np.testing.assert_array_equal(found, enlarged_exactly(small, (75, 50)))


def test_what_a_person_gave_is_not_filtered():
    small, _ = scene(1)
    found = at_source(small, soft_of(small), scene(2)[1], is_given=True)
    np.testing.assert_array_equal(found, enlarged_exactly(small, (120, 80)))


@pytest.mark.parametrize(("sure", "columns"), [(0.65, 45), (0.75, 46), (0.9, 47), (1.0, 48)])
def test_a_boundary_lies_within_a_pixel_where_the_soft_mask_says(sure: float, columns: int):
    small = np.zeros((20, 12), np.uint8)
    small[:, :6] = 1
    soft = small.astype(np.float32)
    soft[:, 5] = sure
    found = at_source(small, SoftFrame(0, (1,), soft[None]), np.full((160, 96, 3), 128, np.uint8))
    assert np.count_nonzero(found[80] == 1) == columns
