"""Which sequences a night takes, and what is said of those that it cannot take."""

import re
from pathlib import Path

import pytest

from stages.core.errors import InputError
from tasks.choice import check_named, choose

MUELLER = "M\u00fcller"
MUELLER_OF_A_MAC = "Mu\u0308ller"


def listed(folder: Path, text: str | bytes) -> str:
    path = folder / "night.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    names = ("gym", "bmx-trees", "drift", "lady-running", "-dash", "clip #2", "a#b", MUELLER_OF_A_MAC)
    for name in (*(f"davis/{name}" for name in names), "my/kitchen", "my/both", "other/both"):
        dataset, seq = name.split("/")
        (tmp_path / "data" / dataset / "JPEGImages" / "480p" / seq).mkdir(parents=True)
    return tmp_path / "data"


def taken(data: Path, text: str | bytes, dataset: str = "") -> list[str]:
    chosen = choose(listed(data.parent, text), dataset, str(data))
    assert not [one for one in chosen if one.refused]
    return [f"{one.dataset}/{one.seq}" for one in chosen]


def test_a_list_has_one_sequence_a_line_in_order_each_once(data: Path) -> None:
    text = "# tonight\n\n  gym \nbmx-trees # the one with trees\r\n#drift\ngym\nlady-running\ndavis/gym"
    assert taken(data, text) == ["davis/gym", "davis/bmx-trees", "davis/lady-running"]


def test_a_list_may_come_from_an_editor_of_windows(data: Path) -> None:
    assert taken(data, b"\xef\xbb\xbfgym\r\n") == ["davis/gym"]


def test_a_line_may_name_the_dataset_and_wins_over_the_one_given(data: Path) -> None:
    assert taken(data, "my/both\nother/both\nboth", "my") == ["my/both", "other/both"]


def test_names_are_taken_as_they_are(data: Path) -> None:
    text = f"-dash\nclip #2\na#b # a comment\n{MUELLER}\n{MUELLER_OF_A_MAC}"
    assert taken(data, text) == ["davis/-dash", "davis/clip #2", "davis/a#b", f"davis/{MUELLER}"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nosuch", "'nosuch'"),
        ("my/gym", "davis has a sequence of this name"),
        ("nowhere/gym", "no dataset 'nowhere'"),
        ("both", "my, other"),
        ("../gym", "begins with a dot"),
        ("my/../gym", "begins with a dot"),
        ("/etc/passwd", "has a slash"),
        ("/gym", "has a slash"),
        ("my/a/b", "has a slash"),
        ("davis/", "is empty"),
    ],
)
def test_a_line_that_names_no_sequence_stays_with_the_reason(data: Path, line: str, words: str) -> None:
    one, refused = choose(listed(data.parent, f"gym\n{line}"), "", str(data))
    assert (one.name, one.refused) == ("gym", "")
    assert refused.name == line
    assert words in refused.refused


def test_a_dataset_is_a_list_too(data: Path) -> None:
    chosen = choose("", "davis", str(data))
    assert [one.seq for one in chosen] == sorted(
        ["gym", "bmx-trees", "drift", "lady-running", "-dash", "clip #2", "a#b", MUELLER]
    )
    assert {one.dataset for one in chosen} == {"davis"}


def test_no_folder_of_a_dataset_is_passed_over_in_silence(data: Path) -> None:
    frames = data / "my" / "JPEGImages" / "480p"
    (frames / "gone").symlink_to(data / "unmounted")
    (frames / "loop").symlink_to(frames / "loop")
    (frames / ".cache").mkdir()
    (frames / "notes.txt").touch()
    (frames / ("x" * 200)).mkdir()
    (Path(str(frames)) / "bild_\udcfc").mkdir()
    chosen = {one.name: one.refused for one in choose("", "my", str(data))}
    assert {name: bool(refused) for name, refused in chosen.items()} == {
        "both": False, "kitchen": False, "bild_\\udcfc": True, "gone": True, "loop": True, "x" * 200: True,
    }  # fmt: skip
    assert "not UTF-8" in chosen["bild_\\udcfc"]
    assert re.search("leads nowhere.*: mend or remove the link$", chosen["gone"])
    assert chosen["x" * 200].endswith(": rename it")
    assert "a loop of links" in chosen["loop"]
    assert "200 bytes" in chosen["x" * 200]


@pytest.mark.parametrize(
    ("text", "dataset", "words"),
    [
        (None, "", "neither a list of sequences .* nor --dataset NAME"),
        ("# nothing\n", "", r"no sequence in .*night\.txt"),
        (b"\xff\xfeg\0", "", r"night\.txt: not UTF-8"),
        (None, "zet", "no dataset 'zet' in .*data; there are: davis, empty, my, other"),
        (None, "empty", "no sequence in the dataset empty"),
    ],
)
def test_a_night_without_sequences_is_a_clear_error(
    data: Path, text: str | bytes | None, dataset: str, words: str
) -> None:
    (data / "empty").mkdir()
    path = "" if text is None else listed(data.parent, text)
    with pytest.raises(InputError, match=words):
        choose(path, dataset, str(data))


def test_a_list_that_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere.txt")
    for name, found in {"nowhere.txt": "no such file", ".": "a folder", "link": "leads nowhere"}.items():
        with pytest.raises(InputError, match=f"--list .*: found .*{found}"):
            choose(str(tmp_path / name), "", "")


def test_lines_that_name_no_sequence_are_told_all_at_once_with_what_may_be_meant(data: Path) -> None:
    path = listed(data.parent, "gym\ndrfit\nboth\nmy/gym\nzzz")
    with pytest.raises(InputError) as refused:
        check_named(choose(path, "", str(data)), path, str(data))
    assert (
        "'drfit' (no such sequence; did you mean 'drift'?); 'both' (my/both or other/both?); 'my/gym' (davis/gym?); "
        in str(refused.value)
    )
    assert "'zzz' (no such sequence), expected" in str(refused.value)
    good = listed(data.parent, "gym\nmy/both")
    check_named(choose(good, "", str(data)), good, str(data))
