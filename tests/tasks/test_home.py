"""Where results lie when several datasets have a sequence of one name: nobody's results are moved by another's."""

import json
import shutil
from pathlib import Path

import pytest

from stages.core.errors import InputError
from stages.formats.dataset_json import DATASET_JSON, read_owner, write_owner
from stages.formats.layout import find_sequence
from stages.formats.schema import NewerVersionError
from tasks.runtime.home import Home, find_home
from tests.conftest import Project


def bring_in(project: Project, dataset: str, *, other_frames: bool = True) -> None:
    """A sequence of the same name in another dataset."""
    frames = project.folder / "data" / dataset / "JPEGImages" / "480p" / project.seq
    shutil.copytree(project.frames, frames)
    if other_frames:
        for path in frames.iterdir():
            path.write_bytes(path.read_bytes() + b"another one")


def home(project: Project, dataset: str, seq: str = "toy") -> Home:
    data, outputs = project.folder / "data", project.folder / "outputs"
    return find_home(data, outputs, find_sequence(data, seq, dataset))


def lies_in(project: Project, dataset: str, seq: str = "toy") -> str:
    return home(project, dataset, seq).folder.relative_to(project.folder / "outputs").as_posix()


def remove(project: Project, dataset: str) -> None:
    shutil.rmtree(project.folder / "data" / dataset)


@pytest.fixture
def recordless(finished: Project) -> Project:
    """Results of a version that noted no dataset."""
    (finished.root / DATASET_JSON).unlink()
    return finished


def test_a_run_notes_whose_results_it_makes(finished: Project) -> None:
    assert read_owner(finished.root) == "set"


@pytest.mark.parametrize("newcomer", ["a_first", "zoo"])
def test_the_first_keeps_its_folder_and_the_second_gets_one_below_its_name(finished: Project, newcomer: str) -> None:
    bring_in(finished, newcomer)
    assert lies_in(finished, "set") == "toy"
    assert lies_in(finished, newcomer) == f"{newcomer}/toy"


def test_who_comes_second_stays_when_the_first_goes(finished: Project) -> None:
    bring_in(finished, "zoo")
    below = home(finished, "zoo").folder
    below.mkdir(parents=True)
    write_owner(below, "zoo")
    remove(finished, "set")
    assert lies_in(finished, "zoo") == "zoo/toy"


def test_what_lies_below_a_datasets_name_stays(recordless: Project) -> None:
    """An earlier version moved both as soon as a name was shared."""
    bring_in(recordless, "zoo")
    shutil.copytree(recordless.root, recordless.folder / "outputs" / "set" / "toy")
    assert lies_in(recordless, "set") == "set/toy"


@pytest.mark.parametrize("newcomer", ["a_first", "zoo"])
def test_a_folder_without_a_note_belongs_to_whom_its_frames_match(recordless: Project, newcomer: str) -> None:
    bring_in(recordless, newcomer)
    assert home(recordless, "set") == Home(recordless.root)
    assert lies_in(recordless, newcomer) == f"{newcomer}/toy"


def test_if_it_matches_nobody_it_is_the_firsts_who_is_told(recordless: Project) -> None:
    bring_in(recordless, "zoo")
    shutil.rmtree(recordless.root / "frames")
    folder, told = home(recordless, "set")
    assert folder == recordless.root
    assert "no note" in told and "set, zoo" in told
    assert lies_in(recordless, "zoo") == "zoo/toy"


def test_a_note_wins_over_frames_that_match(finished: Project) -> None:
    """The frames of the first were exchanged; the second brought those of before."""
    bring_in(finished, "a_first", other_frames=False)
    for path in finished.frames.iterdir():
        path.write_bytes(path.read_bytes() + b"exported anew")
    assert lies_in(finished, "set") == "toy"
    assert lies_in(finished, "a_first") == "a_first/toy"


def test_a_dataset_that_was_renamed_keeps_its_results(finished: Project) -> None:
    (finished.folder / "data" / "set").rename(finished.folder / "data" / "renamed")
    assert home(finished, "renamed") == Home(finished.root)


def test_another_dataset_does_not_take_over_what_one_left_behind(finished: Project) -> None:
    bring_in(finished, "zoo")
    remove(finished, "set")
    folder, told = home(finished, "zoo")
    assert folder == finished.folder / "outputs" / "zoo" / "toy"
    assert "of the dataset set" in told and str(folder) in told


def test_of_two_that_were_never_run_the_first_in_order_has_the_plain_folder(project: Project) -> None:
    bring_in(project, "zoo")
    assert (lies_in(project, "set"), lies_in(project, "zoo")) == ("toy", "zoo/toy")
    assert not (project.folder / "outputs").exists(), "a look leaves no trace"


def test_a_folder_that_is_a_sequences_takes_no_results_of_a_dataset(finished: Project) -> None:
    """The dataset is called as the sequence: its second `walk` would lie among the stages."""
    for dataset in ("set", "toy"):
        frames = finished.folder / "data" / dataset / "JPEGImages" / "480p" / "masks"
        shutil.copytree(finished.frames, frames)
    assert lies_in(finished, "set", "masks") == "masks"
    with pytest.raises(InputError, match="rename the dataset"):
        home(finished, "toy", "masks")


def test_a_folder_of_a_datasets_results_is_no_sequences(project: Project) -> None:
    """The other way round: outputs/zoo holds the second `toy` before a sequence `zoo` comes."""
    write = project.folder / "outputs" / "zoo" / "toy"
    write.mkdir(parents=True)
    write_owner(write, "zoo")
    project.frames.with_name("zoo").mkdir()
    assert lies_in(project, "set", "zoo") == "set/zoo"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', '{"schema": 1, "dataset": 3}', '{"dataset": "x"}'])
def test_a_damaged_note_counts_as_none(finished: Project, content: str) -> None:
    (finished.root / DATASET_JSON).write_text(content)
    bring_in(finished, "a_first")
    assert lies_in(finished, "set") == "toy"


def test_a_note_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / DATASET_JSON).write_text(json.dumps({"schema": 99, "dataset": "x"}))
    with pytest.raises(NewerVersionError):
        read_owner(tmp_path)
