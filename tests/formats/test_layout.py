from pathlib import Path

import pytest

from stages.core.errors import InputError
from stages.formats.layout import check_name, find_sequence, list_datasets, list_sequences, sequence_paths


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
    assert (paths.dataset, paths.name, paths.shared) == ("davis", "gym", False)
    assert paths == sequence_paths(root, "davis", "gym")
    assert paths.frames == root / "davis" / "JPEGImages" / "480p" / "gym"
    assert paths.annotations == root / "davis" / "Annotations" / "480p" / "gym"
    assert paths.scribbles == root / "davis" / "Scribbles" / "gym"


def test_a_shared_name_needs_its_dataset(root: Path) -> None:
    with pytest.raises(InputError, match=r"davis, my.*--dataset davis"):
        find_sequence(root, "shared")
    paths = find_sequence(root, "shared", "my")
    assert (paths.dataset, paths.shared) == ("my", True)
    assert not find_sequence(root, "kitchen", "my").shared


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


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../evil", "a/b", "/etc", "-x", ".hidden", "a b", "gym\n", "é", "x" * 65, "a\0"]
)
def test_no_path_is_smuggled_in_through_a_name(root: Path, name: str) -> None:
    for ask in (
        lambda: check_name(name),
        lambda: find_sequence(root, name),
        lambda: find_sequence(root, "gym", name),
        lambda: sequence_paths(root, name, "gym"),
        lambda: sequence_paths(root, "davis", name),
    ):
        with pytest.raises(InputError, match="expected 1 to 64"):
            ask()


@pytest.mark.parametrize("name", ["a", "0", "bmx-trees", "A.b_c-1", "x" * 64])
def test_ordinary_names_pass(name: str) -> None:
    assert check_name(name) == name


def test_links_may_not_lead_out_of_the_data_root(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere" / "JPEGImages" / "480p" / "secret"
    outside.mkdir(parents=True)
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "my" / "JPEGImages" / "480p" / "alias").symlink_to(outside)
    for seq in ("secret", "alias"):
        with pytest.raises(InputError, match="--data-root"):
            find_sequence(root, seq)
    assert find_sequence(root, "gym").dataset == "davis"
    (tmp_path / "link-to-data").symlink_to(root)
    assert find_sequence(tmp_path / "link-to-data", "gym").dataset == "davis"


def test_weights_are_no_dataset(root: Path) -> None:
    assert list_datasets(root) == ["davis", "demo", "my"]
    with pytest.raises(InputError, match="checkpoints"):
        sequence_paths(root, "weights", "gym")


def test_sequences_are_listed_by_name(root: Path) -> None:
    (root / "my" / "JPEGImages" / "480p" / ".tmp-x-1").mkdir()
    assert list_sequences(root, "my") == ["kitchen", "shared"]
    assert list_sequences(root, "demo") == []


def test_a_data_root_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.*--data-root"):
        find_sequence(tmp_path / "nowhere", "gym")
