"""Sets of pictures: what is read from disk, what is refused, and what is held out."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError
from stages.engines.registry import small_networks
from stages.training.pictures import CLIPS_SET, HELD_OUT_CLIPS, Drawing, Picture, is_held_out
from stages.training.recipes import RECIPES
from stages.training.scenes import draw_scene
from stages.training.session import plan_training, read_training_pictures
from stages.training.sets import PictureSet, choose_sets, read_set, split
from tests.training.short import always, write_set


def read(folder: Path, unknown="auto"):
    return read_set(PictureSet(folder.name, folder, 1.0), unknown)


def test_a_missing_mask_and_a_wrong_size_are_said(tmp_path):
    folder = write_set(tmp_path / "set", 1)
    (folder / "masks" / "00.png").unlink()
    with pytest.raises(InputError, match=r"00\.png: found no mask"):
        read(folder)
    cv2.imwrite(str(folder / "masks" / "00.png"), np.zeros((120, 161), np.uint8))
    with pytest.raises(InputError, match=r"found \(120, 160\).* expected \(120, 161\)"):
        read(folder)


@pytest.mark.parametrize(
    ("picture", "mask", "how"),
    [
        ("png", "png", {}),
        ("webp", "webp", {"lossless": True}),
        ("TIFF", "bmp", {}),
        ("jpeg", "tif", {"compression": "tiff_lzw"}),
    ],
)
def test_pictures_and_masks_of_any_format_are_read(tmp_path, picture, mask, how):
    found, meaning = read(write_set(tmp_path / "set", 2, 3, picture, mask, **how))
    assert [each.areas.keys() for each in found] == [{3}, {3}] and meaning == "-"
    assert found[0].rgb.shape == (120, 160, 3)


@pytest.mark.parametrize(
    ("mask", "how", "reason"),
    [
        ("jpg", {}, "JPEG, which changes numbers"),
        ("webp", {"lossless": False}, "lossy"),
        ("tif", {"compression": "jpeg"}, "lossy"),
    ],
)
def test_masks_whose_numbers_were_changed_are_refused(tmp_path, mask, how, reason):
    with pytest.raises(InputError, match=reason):
        read(write_set(tmp_path / "set", 1, 255, "png", mask, **how))


def test_coloured_masks_are_refused_and_grey_ones_saved_as_colour_are_not(tmp_path):
    folder = write_set(tmp_path / "set", 1, 2)
    path = folder / "masks" / "00.png"
    grey = Image.open(path)
    grey.convert("RGBA").save(path)
    assert read(folder)[0][0].areas.keys() == {2}
    Image.merge("RGB", [grey, grey, Image.new("L", grey.size)]).save(path)
    with pytest.raises(InputError, match="mode RGB whose colours would have to be guessed"):
        read(folder)


def test_two_files_for_one_picture_are_refused(tmp_path):
    folder = write_set(tmp_path / "set", 2)
    shutil.copy(folder / "images" / "00.png", folder / "images" / "00.PNG")
    with pytest.raises(InputError, match=r"00\.PNG and 00\.png"):
        read(folder)


def test_255_alone_is_the_object_and_beside_other_ids_unknown(tmp_path):
    alone = write_set(tmp_path / "alone", 3, 255)
    found, meaning = read(alone)
    assert meaning == "object" and all(each.areas.keys() == {1} for each in found)
    found, meaning = read(alone, "255")
    assert meaning == "unknown" and not any(each.areas for each in found)

    beside = write_set(tmp_path / "beside", 3, 255)
    first = beside / "masks" / "00.png"
    ids = np.array(Image.open(first))
    ids[:20, :20] = 1
    Image.fromarray(ids).save(first)
    found, meaning = read(beside)
    assert meaning == "unknown" and [list(each.areas) for each in found] == [[1], [], []]
    found, meaning = read(beside, "none")
    assert meaning == "object" and [list(each.areas) for each in found] == [[1, 2], [1], [1]]


def test_large_pictures_are_reduced_with_their_masks(tmp_path):
    folder = tmp_path / "set"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    ids = np.zeros((1500, 3000), np.uint8)
    ids[300:900, 300:1500] = 7
    Image.new("RGB", (3000, 1500)).save(folder / "images" / "a.png")
    Image.fromarray(ids).save(folder / "masks" / "a.png")
    (found,), _ = read(folder)
    assert found.rgb.shape == (512, 1024, 3) and found.labels.shape == (512, 1024)
    assert set(np.unique(found.labels)) == {0, 7}


def test_all_sets_are_taken_if_those_of_the_recipe_are_not_there(tmp_path):
    told: list[str] = []
    for name in ("one", "two"):
        write_set(tmp_path / name, 1)
    chosen = choose_sets(tmp_path, {}, {"usual": 0.5, "one": 0.5}, told.append)
    assert [(each.name, each.share) for each in chosen] == [("one", 1.0), ("two", 1.0)]
    assert len(told) == 1 and "one, two" in told[0] and "--sets" in told[0]
    chosen = choose_sets(tmp_path, {}, {"two": 0.3, "one": 0.7}, told.append)
    assert {each.name: each.share for each in chosen} == {"one": 0.7, "two": 0.3} and len(told) == 1
    (chosen,) = choose_sets(tmp_path / "two", {}, {"usual": 1}, told.append)
    assert (chosen.name, chosen.folder) == ("two", tmp_path / "two")
    with pytest.raises(InputError, match="found no set of pictures"):
        choose_sets(tmp_path / "nothing", {}, {"usual": 1})


# -- few pictures ------------------------------------------------------------------------------------------------------


def discs(count: int, name: str = "few") -> list[Picture]:
    ids = np.zeros((100, 100), np.uint8)
    ids[:40, :50] = 1
    return [Picture(name, f"{number}", np.zeros((100, 100, 3), np.uint8), ids) for number in range(count)]


@pytest.mark.parametrize(("count", "held_out"), [(2, 1), (3, 1), (7, 1), (8, 2), (10, 2), (20, 2)])
def test_of_few_pictures_one_or_two_are_held_out(count, held_out):
    for name in map(str, range(30)):
        parts = split(discs(count, name), always, "anything")
        by_name = sum(is_held_out(name, str(number)) for number in range(count))
        assert len(parts[1]) == max(held_out, min(by_name, count - 1)) and len(parts[0]) == count - len(parts[1])


def test_what_is_held_out_and_what_is_left_can_be_used():
    for name in map(str, range(30)):
        useful = discs(3, name)
        empty = [Picture(name, f"e{n}", useful[0].rgb, np.zeros((100, 100), np.uint8)) for n in range(20)]
        parts = split([*useful, *empty], RECIPES["fbrs_lite"].suits, "an object")
        assert all(any(picture.areas for picture in part) for part in parts)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_pictures_are_refused(count):
    with pytest.raises(InputError, match=f"found {count} picture.*expected two at least"):
        split(discs(count), always, "anything")


@pytest.mark.parametrize("network", small_networks())
def test_pictures_without_a_fitting_object_are_refused_before_a_training(network, tmp_path):
    write_set(tmp_path / "set", 4, 0)
    plan = plan_training(network, tmp_path, {}, steps=1)
    with pytest.raises(InputError, match=f"4 pictures, 0 of them with {plan.recipe.wanted[:9]}"):
        read_training_pictures(plan, lambda _line: None)


def test_drawing_ends_where_nothing_fits():
    tiny = [Picture("few", "a", np.zeros((100, 100, 3), np.uint8), np.pad(np.ones((20, 20), np.uint8), 40))]
    with pytest.raises(InputError, match="28 pixels long"):
        draw_scene(Drawing(tiny, {"few": 1}), np.random.default_rng(0), 96)
    small = [Picture("few", "a", np.zeros((100, 100, 3), np.uint8), np.eye(100, dtype=np.uint8)[:, ::-1].copy())]
    with pytest.raises(InputError, match="600 pixels"):
        RECIPES["siammask_lite"].sample(Drawing(small, {"few": 1}), np.random.default_rng(0))


# -- clips -------------------------------------------------------------------------------------------------------------


def write_clips(folder, *names, frames=6):
    """A set in the DAVIS layout: a disc that moves on a texture."""
    rng = np.random.default_rng(0)
    for name in names:
        for part, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
            (folder / part / "480p" / name).mkdir(parents=True)
            for index in range(frames):
                ids = cv2.circle(np.zeros((60, 80), np.uint8), (25 + 4 * index, 30), 18, 1, -1)
                rgb = cv2.resize(rng.integers(0, 100, (6, 8, 3)).astype(np.uint8), (80, 60))
                picture = ids if suffix == "png" else np.where(ids[..., None] > 0, np.uint8(200), rgb)
                Image.fromarray(picture).save(folder / part / "480p" / name / f"{index:05d}.{suffix}")
    return folder


def test_clips_are_a_set_and_whole_clips_are_held_out(tmp_path):
    names = [f"clip-{number}" for number in range(12)]
    root = write_clips(tmp_path / "clips", *names)
    (chosen,) = choose_sets(root, {}, {"usual": 1.0})
    pictures, _ = read_set(chosen, "auto")
    assert len(pictures) == 72 and pictures[7].name == "clip-1/00001"
    parts = split(pictures, always, "anything")
    of_parts = [{picture.name.partition("/")[0] for picture in part} for part in parts]
    assert not of_parts[0] & of_parts[1] and len(of_parts[1]) >= 1
    assert [len(part) for part in parts] == [6 * len(clips) for clips in of_parts]


def test_a_frame_of_a_clip_that_changes_makes_another_set(tmp_path):
    root = write_clips(tmp_path / "clips", "one", "two", frames=2)
    before = PictureSet("clips", root, 1.0).digest()
    shutil.copy(root / "Annotations/480p/one/00000.png", root / "Annotations/480p/two/00001.png")
    assert PictureSet("clips", root, 1.0).digest() != before
    (root / "Annotations/480p/two/00001.png").unlink()
    with pytest.raises(InputError, match=r"two/00001\.png: found no mask"):
        PictureSet("clips", root, 1.0).digest()


def test_clips_that_benchmarks_are_made_of_are_never_learnt_from():
    assert all(is_held_out(CLIPS_SET, f"{clip}/00003") for clip in HELD_OUT_CLIPS)
    assert not all(is_held_out("mine", f"{clip}/00003") for clip in HELD_OUT_CLIPS)


def test_of_a_single_clip_a_frame_is_held_out(tmp_path):
    pictures, _ = read_set(PictureSet("clips", write_clips(tmp_path / "clips", "only"), 1.0), "auto")
    assert [len(part) for part in split(pictures, always, "anything")] == [5, 1]
