"""`tracks.h5`: what an engine said of every frame comes back, also from the form of version 0.1."""

import dataclasses
import math
from pathlib import Path

import h5py
import numpy as np
import pytest

from stages.core.errors import StageError
from stages.core.states import Gone, Source
from stages.core.types import Direction, SegmentFrame
from stages.formats.disagreement import read_disagreement
from stages.formats.masks import read_mask
from stages.formats.results import DISAGREEMENT
from stages.formats.tracks import count_frames, mask_file, read_tracks, writing_tracks

HEIGHT, WIDTH = 12, 16
OBJECT_IDS = (2, 7)
LOST = Gone(Source.LOST, "forward: score 0.05 below 0.10")
ABSENT = Gone(Source.ABSENT)


def made(index: int, *gone: Gone | None, directions: bool = True) -> SegmentFrame:
    """A frame whose numbers depend on its index; masks in steps of 1/255, empty where the object is gone."""
    rng = np.random.default_rng(index)
    probability = rng.integers(0, 256, (2, HEIGHT, WIDTH)).astype(np.float32) / 255
    probability[:, :3] = 0
    for mask, why in zip(probability, gone, strict=True):
        if why is not None:
            mask[:] = 0
    numbers = rng.random(12).astype(np.float32)
    boxes = np.arange(8, dtype=np.float32).reshape(2, 4) + index
    seen = {"forward": Direction(boxes, numbers[4:6]), "backward": Direction(boxes + 0.5, numbers[6:8])}
    agreement = np.array([numbers[2], np.nan], np.float32)
    return SegmentFrame(index, probability, numbers[:2], agreement, gone, seen if directions else {})


STRETCH = [made(3, None, None), made(4, LOST, ABSENT), made(5, None, ABSENT)]


def write(folder: Path, frames: list[SegmentFrame]) -> None:
    stretch = range(frames[0].index, frames[-1].index + 1)
    with writing_tracks(folder, stretch, OBJECT_IDS, (Source.BOTH, Source.BACKWARD)) as writer:
        for frame in frames:
            writer.append(frame)


def test_a_stretch_comes_back_frame_by_frame(tmp_path: Path) -> None:
    write(tmp_path, STRETCH)
    assert count_frames(tmp_path) == 3
    back = list(read_tracks(tmp_path))
    assert [frame.index for frame in back] == [3, 4, 5]
    for frame, written in zip(back, STRETCH, strict=True):
        assert frame.object_ids == OBJECT_IDS
        np.testing.assert_allclose(frame.probability, written.probability, atol=1e-6)
        np.testing.assert_array_equal(frame.score, written.score)
        np.testing.assert_array_equal(frame.agreement, written.agreement)
    assert [frame.sources for frame in back] == [
        (Source.BOTH, Source.BACKWARD),
        (Source.LOST, Source.ABSENT),
        (Source.BOTH, Source.ABSENT),
    ]
    assert [frame.details for frame in back] == [("", ""), (LOST.detail, ""), ("", "")]


def test_what_covers_an_object_is_called_by_its_id(tmp_path: Path) -> None:
    write(tmp_path, [made(3, Gone(Source.ABSENT, "not found (presence 0.02)", covered_by=1), None)])
    (frame,) = read_tracks(tmp_path)
    assert frame.details == ("covered by 7; not found (presence 0.02)", "")


def test_label_maps_to_look_at_lie_beside_it(tmp_path: Path) -> None:
    write(tmp_path, STRETCH)
    assert mask_file(tmp_path, 4) == tmp_path / "masks" / "00004.png"
    first, second = STRETCH[0].probability
    labels = np.where(second > first, 7, 2) * (np.maximum(first, second) > 0.5)
    np.testing.assert_array_equal(read_mask(mask_file(tmp_path, 3)), labels)
    assert not read_mask(mask_file(tmp_path, 4)).any()


def test_both_directions_are_kept_where_an_engine_has_them(tmp_path: Path) -> None:
    write(tmp_path, STRETCH)
    with h5py.File(tmp_path / "tracks.h5") as file:
        for name, direction in STRETCH[1].directions.items():
            group = file[f"objects/7/{name}"]
            np.testing.assert_array_equal(group["box_xyxy"][1], direction.box_xyxy[1])
            assert group["score"][1] == direction.score[1]


def test_an_engine_without_directions_and_a_stretch_without_objects_are_kept_too(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    write(tmp_path / "one", [made(0, None, None, directions=False)])
    assert len(list(read_tracks(tmp_path / "one"))) == 1
    (tmp_path / "none").mkdir()
    nothing = np.zeros(0, np.float32)
    with writing_tracks(tmp_path / "none", range(2), (), ()) as writer:
        for index in range(2):
            writer.append(SegmentFrame(index, np.zeros((0, HEIGHT, WIDTH), np.float32), nothing, nothing, ()))
    back = list(read_tracks(tmp_path / "none"))
    assert [frame.probability.shape for frame in back] == [(0, HEIGHT, WIDTH)] * 2
    assert [(frame.object_ids, frame.sources, frame.details) for frame in back] == [((), (), ())] * 2


def test_where_directions_disagree_lies_beside_it_and_changes_nothing_in_it(tmp_path: Path) -> None:
    told = [dataclasses.replace(each, disagreement=each.probability > 0.9) for each in STRETCH]
    told[1] = STRETCH[1]
    for name, frames in (("plain", STRETCH), ("told", told)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, frames)
    assert (tmp_path / "plain/tracks.h5").read_bytes() == (tmp_path / "told/tracks.h5").read_bytes()
    assert not (tmp_path / "plain" / DISAGREEMENT).exists()
    for found, written in zip(read_disagreement(tmp_path / "told", (3, 4, 5)), told, strict=True):
        np.testing.assert_array_equal(found, written.disagreement)


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        write(tmp_path / name, STRETCH)
    assert (tmp_path / "a" / "tracks.h5").read_bytes() == (tmp_path / "b" / "tracks.h5").read_bytes()


def test_the_form_of_version_0_1_is_read(tmp_path: Path) -> None:
    """No version number, and one word for why a mask is empty."""
    write(tmp_path, STRETCH)
    reasons = {"2": ["", f"lost: {LOST.detail}", ""], "7": ["", "absent", "absent"]}
    with h5py.File(tmp_path / "tracks.h5", "r+") as file:
        del file.attrs["schema"]
        for object_id, words in reasons.items():
            group = file[f"objects/{object_id}"]
            del group["gone"], group["detail"]
            group.create_dataset("reason", data=words, dtype=h5py.string_dtype())
    back = list(read_tracks(tmp_path))
    assert back[1].sources == (Source.LOST, Source.ABSENT)
    assert [frame.details for frame in back] == [("", ""), (LOST.detail, ""), ("", "")]
    assert back[0].sources == (Source.BOTH, Source.BACKWARD)
    assert math.isnan(back[2].agreement[1])


def test_a_newer_form_is_refused(tmp_path: Path) -> None:
    write(tmp_path, STRETCH)
    with h5py.File(tmp_path / "tracks.h5", "r+") as file:
        file.attrs["schema"] = 3
    with pytest.raises(StageError, match=r"tracks\.h5: found version 3 .* newer version of LIS"):
        next(read_tracks(tmp_path))
