from collections.abc import Sequence

import numpy as np
import pytest

from stages.core.errors import InputError
from stages.exchange.incoming.matching import FrameNames, Matched, match
from stages.exchange.incoming.protocol import Picture

DOG = FrameNames("dog", tuple(f"{index:05d}.jpg" for index in range(6)))


def found(names: Sequence[str], frames: FrameNames = DOG, prefix: str = "") -> dict[int, str]:
    return {index: picture.name for index, picture in matched(names, frames, prefix).pictures.items()}


def matched(names: Sequence[str], frames: FrameNames = DOG, prefix: str = "") -> Matched:
    pictures = [
        Picture(name, f"x.json, image {at}", lambda: np.zeros((1, 1), np.uint8)) for at, name in enumerate(names)
    ]
    return match(pictures, frames, prefix, "x.json")


@pytest.mark.parametrize(
    "name",
    [
        *("00003.jpg", "00003.png", "00003", "dog/00003.jpg", "images/dog/00003.PNG", r"C:\clips\dog\00003.jpg"),
        *("./dog//00003.jpg", "any/00003.jpg", "3d00c1f2-00003.jpg", "00000004-00003.jpg", "10000000-00003.jpg"),
        *("00003_jpg.rf.0a1b2c3d4e5f60718293a4b5c6d7e8f9.jpg", "3.png", "000003.png"),
    ],
)
def test_a_name_means_its_frame_however_a_tool_writes_it(name: str) -> None:
    assert found([name]) == {3: name}


@pytest.mark.parametrize(
    "name", ["f_3.jpg", "00007.jpg", "0000.3.jpg", "zz00c1f2-00003.jpg", "x-00003.jpg", "00003-2.jpg"]
)
def test_a_name_that_is_no_frames_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(InputError) as told:
        found(["00001.jpg", name])
    assert f"x.json, image 1: found the picture '{name}', expected a frame of 'dog' (00000.jpg ... 00005.jpg)" in str(
        told.value
    )
    assert "give --name-prefix, or rename" in str(told.value)


def test_what_systems_leave_behind_is_no_picture() -> None:
    assert found([".DS_Store", "__MACOSX/._00002.jpg", "dog/._00002.jpg", "00001.jpg", "Thumbs.db"]) == {1: "00001.jpg"}


def test_of_several_cameras_the_sequences_own_folder_wins() -> None:
    names = [f"{camera}/0000{index}.jpg" for camera in ("cat", "dog", "emu") for index in range(3)]
    assert found(names) == {index: f"dog/0000{index}.jpg" for index in range(3)}
    assert matched(names).said == ("6 other pictures left out, which lie in cat, emu",)
    assert found(["00001.jpg", "dog/00001.jpg", "00002.jpg"]) == {1: "dog/00001.jpg", 2: "00002.jpg"}


def test_several_cameras_none_of_them_called_so_are_refused_naming_them() -> None:
    names = ["cam0/00000.jpg", "cam1/00000.jpg", "cam2/00001.jpg"]
    with pytest.raises(InputError, match=r"in the folders cam0, cam1, cam2, .*--name-prefix cam2/"):
        found(names)
    assert found(names, prefix="cam1/") == {0: "cam1/00000.jpg"}
    assert found([name.replace("/", "\\") for name in names], prefix="cam1/") == {0: r"cam1\00000.jpg"}


def test_a_prefix_belongs_to_the_path_or_to_the_file() -> None:
    assert found(["clips/f_00002.jpg", "clips/g_00002.jpg"], prefix="f_") == {2: "clips/f_00002.jpg"}
    assert matched(["f_00002.jpg", "g_00002.jpg"], prefix="f_").said == (
        "1 other picture left out, which do not begin with 'f_'",
    )
    with pytest.raises(InputError, match="expected names that begin with 'h_', as --name-prefix says"):
        found(["f_00002.jpg"], prefix="h_")


def test_two_pictures_of_one_frame_are_refused() -> None:
    with pytest.raises(InputError, match=r"found '00001\.jpg' and '1\.png', which both are the frame 00001\.jpg"):
        found(["00001.jpg", "1.png"])
    with pytest.raises(InputError, match="which both are the frame"):
        found(["aaaaaaaa-00001.jpg", "bbbbbbbb-00001.jpg"])


def test_a_whole_video_counted_from_another_number_is_recognised() -> None:
    names = [f"{number:05d}.png" for number in range(1, 7)]
    assert found(names[::-1]) == dict(enumerate(names))
    assert matched(names).said == (
        "named '00001.png' to '00006.png', one for each frame: taken as 00000.jpg ... 00005.jpg, in their order",
    )
    assert found([f"frame_{number}.png" for number in range(6)])[5] == "frame_5.png"
    counted = FrameNames("dog", tuple(f"{number}.jpg" for number in range(1, 7)))
    assert found([f"{number}.jpg" for number in range(6)], counted) == {at: f"{at}.jpg" for at in range(6)}


@pytest.mark.parametrize("numbers", [range(2, 7), range(1, 8), (1, 2, 3, 4, 5, 7), range(-1, 5)])
def test_a_part_of_a_video_counted_from_another_number_is_never_moved(numbers: Sequence[int]) -> None:
    with pytest.raises(InputError, match="expected a frame of 'dog'"):
        found([f"{number:05d}.png" for number in numbers])


def test_a_frames_own_name_goes_before_what_servers_add() -> None:
    frames = FrameNames("dog", ("00000001-a.jpg", "a.jpg"))
    assert found(["00000001-a.jpg", "a.jpg"], frames) == {0: "00000001-a.jpg", 1: "a.jpg"}
    times = FrameNames("dog", ("0.0.png", "0.033.png", "0.png"))
    assert found(["0.033.png", "0.0.jpg"], times) == {0: "0.0.jpg", 1: "0.033.png"}


def test_names_are_compared_however_unicode_spells_them() -> None:
    frames = FrameNames("M\u00fcll", ("e\u0301 1.jpg",))
    assert found(["Mu\u0308ll/\u00e9 1.jpg"], frames) == {0: "Mu\u0308ll/\u00e9 1.jpg"}


@pytest.mark.parametrize(("file", "refused"), [("00004.json", True), ("00003.json", False), ("my_4.json", False)])
def test_a_file_called_as_another_frame_than_its_own_is_refused(file: str, refused: bool) -> None:
    picture = Picture("dog/00003.jpg", f"back/{file}", lambda: np.zeros((1, 1), np.uint8), lies_in=file)
    if not refused:
        assert [*match([picture], DOG).pictures] == [3]
        return
    with pytest.raises(InputError, match=r"back/00004\.json: found .*'dog/00003\.jpg' .* called '00004\.json', which"):
        match([picture], DOG)
