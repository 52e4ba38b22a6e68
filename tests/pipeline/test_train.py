"""Training as people start it, and networks of their own."""

import hashlib
import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from stages.core.errors import StageError
from stages.engines import registry
from stages.engines.registry import build_network
from stages.formats.checkpoints import misfits, read_checkpoint
from stages.formats.own_network import keep_aside, own_networks, read_own_network
from tasks.runtime import locks
from tasks.train import InstallNetwork, TrainNetwork
from tests.conftest import LUIGI, REPOSITORY, Project
from tests.training.short import Short, train_shortly, write_set


def run(folder: Path, task: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(task, *arguments), cwd=folder, capture_output=True, text=True, check=False)


def command(task: str, *arguments: str) -> list[str]:
    return [str(LUIGI), "--module", "tasks", task, "--train-root", "sets", *arguments]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's: settings, and a set of ten pictures whose masks hold 0 and 255."""
    shutil.copy(REPOSITORY / "luigi.cfg", tmp_path)
    write_set(tmp_path / "sets" / "pets", 10, 255)
    return tmp_path


# -- as typed ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "arguments", "expected"),
    [
        ("TrainNetwork", ("--network", "fbrs_lit"), "Did you mean `fbrs_lite`"),
        ("InstallNetwork", ("--network", "fbrs", "--name", "mine"), "Did you mean `fbrs_lite`"),
        ("InstallNetwork", ("--network", "fbrs_lite", "--name", "Mine/"), "expected one like `fbrs:mine`"),
        ("InstallNetwork", ("--network", "fbrs_lite", "--name", "lite"), "choose another --name"),
        ("TrainNetwork", ("--network", "fbrs_lite", "--sets", "pets:0"), "shares above 0"),
        ("TrainNetwork", ("--network", "fbrs_lite", "--sets", "pets:much"), "shares above 0"),
        ("TrainNetwork", ("--network", "fbrs_lite", "--unknown", "254"), "auto, 255, none"),
        ("TrainNetwork", ("--network", "fbrs_lite", "--steps", "-3"), "-3"),
        ("TrainNetwork", ("--network", "fbrs_lite", "--batch-size", "-1"), "-1"),
    ],
)
def test_an_impossible_option_is_refused(folder: Path, task: str, arguments: tuple[str, ...], expected: str) -> None:
    done = run(folder, task, *arguments)
    assert done.returncode == 40, done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (folder / "outputs").exists()


@pytest.mark.slow
def test_a_set_that_is_not_there_is_said_without_a_stack_trace(folder: Path) -> None:
    done = run(folder, "TrainNetwork", "--network", "fbrs_lite", "--sets", "third:1")
    assert done.returncode == 30
    assert "sets in sets: pets" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_killed_training_goes_on_and_others_leave_it_alone(folder: Path) -> None:
    arguments = ("--network", "fbrs_lite", "--steps", "102")
    place = folder / "outputs" / "training" / "fbrs_lite"
    process = subprocess.Popen(command("TrainNetwork", *arguments), cwd=folder)
    deadline = time.monotonic() + 600
    while not list(place.glob("*/unfinished/checkpoint.pt")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()

    done = run(folder, "TrainNetwork", "--network", "fbrs_lite", "--steps", "2")
    (unfinished,) = place.glob("*/unfinished")
    assert done.returncode == 0, done.stderr
    assert f"another training is unfinished in {unfinished.relative_to(folder)}" in done.stderr
    assert "--train-root sets --sets pets:1 --steps 102 --batch-size 16" in (unfinished / "command.txt").read_text()

    done = run(folder, "TrainNetwork", *arguments)
    assert done.returncode == 0, done.stderr
    assert "going on at step 100 of 102" in done.stderr
    result = unfinished.with_name("result")
    assert not unfinished.exists()
    assert {path.name for path in result.iterdir()} == {
        "fbrs_lite.safetensors", "fbrs_lite.md", "training.json", "curves.png", "sheet.png", "losses.csv",
        "validation.csv", "command.txt", "manifest.json",
    }  # fmt: skip
    assert misfits(build_network("fbrs_lite"), read_checkpoint(result / "fbrs_lite.safetensors")) == []
    assert (result / "fbrs_lite.safetensors").stat().st_size < 8 * 2**20
    assert (result / "command.txt").read_text().strip() in (result / "fbrs_lite.md").read_text()

    before = (result / "manifest.json").stat().st_mtime_ns
    assert run(folder, "TrainNetwork", *arguments).returncode == 0
    assert (result / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_network_of_ones_own_from_the_command_line(folder: Path) -> None:
    arguments = ("--network", "fbrs_lite", "--name", "mine", "--steps", "3")
    done = run(folder, "InstallNetwork", *arguments)
    assert done.returncode == 30
    assert "fbrs:mine was not installed" in done.stderr
    done = run(folder, "InstallNetwork", *arguments, "--even-if-worse", "true")
    assert done.returncode == 0, done.stderr
    assert "learning from" not in done.stderr  # no second training
    assert "--segmenter fbrs:mine" in done.stderr
    assert registry.names("segmenter", folder / "data" / "weights")[-1] == "fbrs:mine"


# -- own networks ------------------------------------------------------------------------------------------------------


@pytest.fixture
def trained(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """A short training in the user's folder, and the recipe."""
    monkeypatch.chdir(folder)
    recipe = train_shortly(monkeypatch)
    threads = torch.get_num_threads()
    yield recipe
    locks.release_all()
    torch.set_num_threads(threads)


def install(**options: object) -> InstallNetwork:
    """Run the task and what it requires, in this process."""
    known = {"network": "fbrs_lite", "name": "mine", "train_root": "sets", "steps": 1, **options}
    task = InstallNetwork(**known)
    for required in task.requires():
        required.run()
    task.run()
    return task


def judge(monkeypatch: pytest.MonkeyPatch, *figures: float) -> None:
    """Let the networks that are validated have these figures, one after the other."""
    given = iter(figures)
    monkeypatch.setattr(Short, "validate", lambda *_: {"iou": next(given)})


def package() -> dict[str, str]:
    """Digests of everything that a training could damage."""
    files = [path for name in ("stages", "tasks") for path in (REPOSITORY / name).rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.suffix != ".pyc"}


WEIGHTS = Path("data/weights")
MINE = WEIGHTS / "own" / "fbrs" / "mine"


@pytest.mark.slow
def test_a_worse_network_is_not_installed_unless_wanted(trained: Short, project: Project) -> None:
    before = package()
    with pytest.raises(StageError, match=r"fbrs:mine was not installed: .* iou 0\.\d+.* fbrs:lite, .*even-if-worse"):
        install()
    assert not MINE.exists()
    task = install(even_if_worse=True)
    assert task.complete()
    assert package() == before

    assert {path.name for path in MINE.iterdir()} == {
        "network.json",
        "network.safetensors",
        "card.md",
        "manifest.json",
    }
    network = read_own_network(MINE)
    assert (network.engine, network.base, network.licence) == ("fbrs:mine", "lite", "pets: not stated")
    assert (network.decided_by, network.rival) == ("iou", "fbrs:lite")
    assert network.figures["iou"] < network.figures_of_rival["iou"]
    card = (MINE / "card.md").read_text()
    assert "`lis train fbrs:mine --train-root sets --sets pets:1 --steps 1 --batch-size 2 --seed 1`" in card
    assert f"| iou | {network.figures['iou']:.4f} | {network.figures_of_rival['iou']:.4f} |" in card
    assert "| pets | 100% | 8 | 8 | 2 | object | not stated |" in card

    assert "fbrs:mine" in registry.names("segmenter", WEIGHTS)
    assert "fbrs:mine" not in registry.names("segmenter")
    shutil.rmtree("outputs")
    assert task.complete()  # nobody needs the training any more
    project.scribble(2, 5, 8, 11)
    project.run("RefineSequence", "--segmenter", "fbrs:mine", "--weights-root", str(WEIGHTS.absolute()))
    manifest = json.loads((project.root / "anchor_masks" / "00002" / "manifest.json").read_text())
    assert manifest["weights"] == {"network.safetensors": network.sha256}


@pytest.mark.slow
def test_a_better_network_takes_the_place_of_the_earlier_which_is_kept(
    trained: Short, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(monkeypatch, 0.8, 0.8, 0.7)  # at the end of the training; the new one, the one in use
    install()
    earlier = (MINE / "network.safetensors").read_bytes()
    assert read_own_network(MINE).figures_of_rival == {"iou": 0.7}

    judge(monkeypatch, 0.9, 0.6, 0.7)
    with pytest.raises(StageError, match="the earlier fbrs:mine"):
        install(seed=2)
    assert (MINE / "network.safetensors").read_bytes() == earlier
    judge(monkeypatch, 0.7, 0.7)
    install(seed=2)
    assert read_own_network(MINE).rival == "the earlier fbrs:mine"
    assert (MINE / "network.safetensors").read_bytes() != earlier
    assert (MINE.parent / ".replaced" / "mine-1" / "network.safetensors").read_bytes() == earlier
    assert registry.names("segmenter", WEIGHTS).count("fbrs:mine") == 1


@pytest.mark.slow
def test_a_damaged_network_in_use_is_passed_over(trained: Short, monkeypatch: pytest.MonkeyPatch) -> None:
    judge(monkeypatch, 0.8, 0.8, 0.7)
    install()
    (MINE / "network.safetensors").write_bytes(b"damaged")
    judge(monkeypatch, 0.8, 0.8, 0.7)
    install(seed=2)
    assert read_own_network(MINE).rival == "fbrs:lite"


def test_other_options_are_another_training(trained: Short, folder: Path) -> None:
    def training(**options: object) -> TrainNetwork:
        return TrainNetwork(**{"network": "fbrs_lite", "train_root": "sets", "steps": 1, **options})

    shutil.copy(registry.find("segmenter", "fbrs:lite").spec.folder / "fbrs_lite.safetensors", "begin.safetensors")
    others = ({"steps": 2}, {"seed": 2}, {"unknown": "none"}, {"sets": {"pets": 0.5}}, {"batch_size": 3},
              {"learning_rate": 1e-4}, {"start": "begin.safetensors"})  # fmt: skip
    tasks = [training(), *(training(**each) for each in others)]
    before = [task.target() for task in tasks]
    assert len(set(before)) == len(tasks)
    assert len({task.target() for task in (training(), training(threads=2), training(device="cpu"))}) == 1
    words = tasks[-1].command().split()
    assert words[-2:] == ["--start", "begin.safetensors"] and "--learning-rate" not in words
    (folder / "sets" / "pets" / "masks" / "00.png").write_bytes(b"another")
    assert training().target() != before[0]


def test_a_set_itself_can_be_the_root(trained: Short) -> None:
    task = TrainNetwork(network="fbrs_lite", train_root="sets/pets", steps=1)
    assert task.command().endswith("--network fbrs_lite --train-root sets/pets --steps 1 --batch-size 2 --seed 1")
    assert [each.name for each in task.training.sets] == ["pets"]


def test_networks_that_are_being_written_and_replaced_ones_are_no_engines(tmp_path: Path) -> None:
    mine = tmp_path / "own" / "fbrs" / "mine"
    mine.mkdir(parents=True)
    (mine / "network.json").write_text(
        json.dumps({"schema": 1, "engine": "fbrs:mine", "base": "lite", "sha256": "", "licence": ""})
    )
    assert keep_aside(mine.with_name("other")) is None
    assert [keep_aside(mine), keep_aside(mine)] == [mine.parent / ".replaced" / f"mine-{n}" for n in (1, 2)]
    shutil.copytree(mine, mine.with_name(".tmp-mine-host-1"))
    shutil.copytree(mine, mine.with_name("renamed"))
    assert [each.engine for each in own_networks(tmp_path, "fbrs")] == ["fbrs:mine", "fbrs:renamed"]
