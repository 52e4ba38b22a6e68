import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from stages.core.errors import InputError
from stages.formats.layout import (
    datasets_in,
    find_sequence,
    list_datasets,
    list_sequences,
    sequence_paths,
    sequences_in,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    for sequence in ("davis/gym", "davis/horsejump-high", "davis/shared", "my/shared", "my/kitchen", "weights/gym"):
        dataset, name = sequence.split("/")
        (data / dataset / "JPEGImages" / "480p" / name).mkdir(parents=True)
    (data / "demo" / "Scribbles" / "bunny").mkdir(parents=True)
    (data / "README.md").touch()
    (data / ".cache").mkdir()
    return data


def test_a_sequence_is_found_in_whatever_dataset_has_it(root: Path) -> None:
    paths = find_sequence(root, "gym")
    assert (paths.dataset, paths.name, paths.owners) == ("davis", "gym", ("davis",))
    assert replace(paths, owners=()) == sequence_paths(root, "davis", "gym")
    assert paths.frames == root / "davis" / "JPEGImages" / "480p" / "gym"
    assert paths.annotations == root / "davis" / "Annotations" / "480p" / "gym"
    assert paths.scribbles == root / "davis" / "Scribbles" / "gym"


def test_a_shared_name_needs_its_dataset(root: Path) -> None:
    with pytest.raises(InputError, match=r"davis, my.*--dataset davis"):
        find_sequence(root, "shared")
    paths = find_sequence(root, "shared", "my")
    assert (paths.dataset, paths.owners) == ("my", ("davis", "my"))
    assert find_sequence(root, "kitchen", "my").owners == ("my",)


@pytest.mark.parametrize(
    ("seq", "dataset", "words"),
    [
        ("gim", None, ["'gim'", "gym"]),
        ("horsejump-hihg", "davis", ["horsejump-high"]),
        ("zzzzzz", None, ["'zzzzzz'", "gym, horsejump-high, kitchen, shared", "lis import"]),
        ("gym", "my", ["'my'", "davis has a sequence of this name"]),
        ("gym", "davos", ["'davos'", "davis"]),
        ("gym", "nothing-like-it", ["davis", "demo", "my"]),
        ("gym", "weights", ["no dataset 'weights'"]),
        ("bunny", None, ["its scribbles are there, in demo", "lis import"]),
    ],
)
def test_what_is_not_there_is_said_with_what_is(root: Path, seq: str, dataset: str | None, words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        find_sequence(root, seq, dataset)
    assert all(word in str(error.value) for word in [str(root), *words]), error.value


@pytest.mark.parametrize("name", ["", ".", "..", "../evil", "a/b", "/etc", ".hidden", "gym\n", "a\0", "x" * 178])
def test_no_path_is_smuggled_in_through_a_name(root: Path, name: str) -> None:
    for ask in (
        lambda: find_sequence(root, name),
        lambda: find_sequence(root, "gym", name),
        lambda: sequence_paths(root, name, "gym"),
        lambda: sequence_paths(root, "davis", name),
    ):
        with pytest.raises(InputError, match="letters of any script"):
            ask()


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_is_found_in_whatever_form_unicode_spells_it(root: Path, form: str) -> None:
    """A Mac writes names in another form than a keyboard."""
    name = unicodedata.normalize(form, "Müller")
    for folder in ("JPEGImages/480p", "Annotations/480p", "Scribbles"):
        (root / unicodedata.normalize(form, "größer") / folder / name).mkdir(parents=True)
    for asked in ("NFC", "NFD"):
        paths = find_sequence(root, unicodedata.normalize(asked, "Müller"))
        assert paths.frames.is_dir() and paths.annotations.is_dir() and paths.scribbles.is_dir()
        assert (paths.dataset, paths.name) == ("größer", "Müller")
        assert find_sequence(root, "Müller", unicodedata.normalize(asked, "größer")) == paths
    assert list_sequences(root, "größer") == ["Müller"]


def test_two_folders_of_one_name_are_refused(root: Path) -> None:
    for form in ("NFC", "NFD"):
        (root / "my" / "JPEGImages" / "480p" / unicodedata.normalize(form, "Müller")).mkdir()
    with pytest.raises(InputError, match=r"two entries called 'Müller'.*\\xfc.*rename one"):
        find_sequence(root, "Müller")
    assert list_sequences(root, "my") == ["kitchen", "shared"]
    assert len(sequences_in(root, "my").unfit) == 2


@pytest.mark.parametrize("name", ["bulk", "exports", "training", "weights"])
def test_names_that_other_things_lie_under_are_refused(root: Path, name: str) -> None:
    (root / "my" / "JPEGImages" / "480p" / name).mkdir()
    for ask in (
        lambda: find_sequence(root, name),
        lambda: sequence_paths(root, "my", name),
        lambda: sequence_paths(root, name, "gym"),
    ):
        with pytest.raises(InputError, match=f"cannot be called '{name}'"):
            ask()
    assert name in sequences_in(root, "my").unfit


def test_links_that_a_person_made_are_followed(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere" / "JPEGImages" / "480p" / "far"
    outside.mkdir(parents=True)
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "my" / "JPEGImages" / "480p" / "alias").symlink_to(outside)
    assert find_sequence(root, "far").dataset == "linked"
    assert find_sequence(root, "alias").frames == root / "my" / "JPEGImages" / "480p" / "alias"
    assert list_sequences(root, "my") == ["alias", "kitchen", "shared"]
    (tmp_path / "link-to-data").symlink_to(root)
    assert find_sequence(tmp_path / "link-to-data", "gym").dataset == "davis"


def test_a_broken_link_is_named(root: Path, tmp_path: Path) -> None:
    frames = root / "my" / "JPEGImages" / "480p"
    (frames / "gone").symlink_to(tmp_path / "unmounted")
    (frames / "loop").symlink_to(frames / "pool")
    (frames / "pool").symlink_to(frames / "loop")
    (root / "old").symlink_to(tmp_path / "unmounted")
    with pytest.raises(InputError, match=r"480p/gone: found a link to .*unmounted, which leads nowhere"):
        find_sequence(root, "gone")
    with pytest.raises(InputError, match=r"480p/loop: found a loop of links"):
        find_sequence(root, "loop")
    with pytest.raises(InputError, match=r"data/old: found a link to .*unmounted"):
        find_sequence(root, "gym", "old")
    assert find_sequence(root, "gym").dataset == "davis", "a broken link breaks nothing else"
    assert set(sequences_in(root, "my").unfit) == {"gone", "loop", "pool"}
    assert set(datasets_in(root).unfit) == {"old"}


def test_weights_are_no_dataset(root: Path) -> None:
    assert list_datasets(root) == ["davis", "demo", "my"]


def test_sequences_are_listed_by_name(root: Path) -> None:
    (root / "my" / "JPEGImages" / "480p" / ".tmp-x-1").mkdir()
    assert list_sequences(root, "my") == ["kitchen", "shared"]
    assert list_sequences(root, "demo") == []


def test_a_data_root_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.*--data-root"):
        find_sequence(tmp_path / "nowhere", "gym")
