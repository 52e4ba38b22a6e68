"""`lis`: the second door to the tasks."""

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest
import rich_click as click
from PIL import Image

from tasks.cli import lis
from tasks.cli.working import import_, refine
from tasks.runtime.options import OPTIONS
from tests.conftest import REPOSITORY, Project

LIS = Path(sys.executable).with_name("lis")
SCREEN_LINES = 56


def run(project: Project, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(LIS), *words], cwd=project.folder, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_a_person_is_led_from_nothing_to_masks(project: Project) -> None:
    first = run(project, "refine", "toy", "--requests", "3", expect=20)
    assert "waiting for scribbles on 4 frames: 2, 5, 8, 11" in first.stderr
    assert first.stderr.splitlines()[-1] == (
        "  paint on outputs/toy/requests/*.png, or draw with lis annotate; then the same again"
    )
    project.scribble(2, 5, 8, 11)
    second = run(project, "refine", "toy", "--requests", "3")
    assert second.stderr.splitlines()[-1] == "  the result: outputs/toy/masks"
    assert "1 masks" in second.stderr.splitlines()[-2]
    assert "Luigi Execution Summary" not in first.stderr + second.stderr
    third = run(project, "refine", "toy", "--requests", "3")
    assert third.stderr.splitlines()[0] == "toy: nothing to do, all of it is up to date"


def test_it_runs_the_same_tasks_as_luigi(finished: Project) -> None:
    run(finished, "refine", "toy", "--requests", "3")
    assert finished.ran() == []
    run(finished, "refine", "toy", "--requests", "3", "--refiner", "none")
    changed = finished.ran()
    assert {name.split("/")[0] for name in changed} == {"refined", "masks"}
    finished.run("RefineSequence", "--refiner", "none")
    assert finished.ran() == []


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(project: Project) -> None:
    project.scribble(2, 5)
    before = sorted(path.name for path in project.folder.rglob("*"))
    said = run(project, "refine", "toy", "--requests", "3", "--dry-run", expect=20).stdout
    assert "4 anchor_masks" in said and "1 masks" in said
    assert said.splitlines()[-1] == "strokes are missing on frames 8, 11"
    assert sorted(path.name for path in project.folder.rglob("*")) == before


def test_a_dry_run_knows_how_long_it_took_the_last_time(finished: Project) -> None:
    finished.scribble(2, 8, 11)
    said = json.loads(run(finished, "refine", "toy", "--requests", "2", "--dry-run", "--json").stdout)
    assert said["to_run"]["tracks"] == 1 and said["as_in_earlier_runs"]
    assert 0 < said["seconds"] < 60
    assert said["exit_code"] == 0 and said["waiting_for"] == []


@pytest.mark.slow
def test_status_names_every_sequence_and_its_state(finished: Project) -> None:
    frames = finished.folder / "data" / "set" / "JPEGImages" / "480p"
    (frames / "other").mkdir()
    for path in finished.frames.iterdir():
        (frames / "other" / path.name).write_bytes(path.read_bytes())
    (finished.folder / "luigi.cfg").write_text(
        (finished.folder / "luigi.cfg").read_text().replace("requests = 7", "requests = 3")
    )
    rows = {row["sequence"]: row["state"] for row in json.loads(run(finished, "status", "--json").stdout)}
    assert rows == {"toy": "done", "other": "new"}
    run(finished, "refine", "other", expect=20)
    rows = {row["sequence"]: row for row in json.loads(run(finished, "status", "--json").stdout)}
    assert rows["other"]["state"] == "waiting" and "4 frames" in rows["other"]["why"]
    picture = frames / "other" / "00003.png"
    whole = picture.read_bytes()
    picture.write_bytes(whole[:300])
    run(finished, "refine", "other", expect=30)
    rows = {row["sequence"]: row for row in json.loads(run(finished, "status", "--json").stdout)}
    assert rows["other"]["state"] == "failed" and "00003.png" in rows["other"]["why"]
    picture.write_bytes(whole)
    run(finished, "refine", "other", expect=20)
    assert "other" in run(finished, "status").stdout


def test_status_knows_what_was_finished_with_other_options(finished: Project) -> None:
    """The toy was labelled with --requests 3; luigi.cfg says 7."""
    (row,) = json.loads(run(finished, "status", "--json").stdout)
    assert (row["state"], row["why"]) == ("done", "with other options than now: requests 3")
    finished.scribble(2, 5, 8)
    (row,) = json.loads(run(finished, "status", "--json").stdout)
    assert row["state"] == "waiting"


@pytest.mark.parametrize(
    "line", ["requests = -4", "guard_iou = abc", "device = tpu", "progress_bars = maybe", "segmenter = grabcat"]
)
@pytest.mark.parametrize("words", [["status"], ["refine", "toy"], ["doctor", "toy"]], ids=" ".join)
def test_a_value_in_luigi_cfg_that_cannot_be_is_one_line(project: Project, line: str, words: list[str]) -> None:
    settings, key = project.folder / "luigi.cfg", line.partition(" =")[0]
    lines = [line if each.startswith(f"{key} =") else each for each in settings.read_text().splitlines()]
    settings.write_text("\n".join(lines))
    done = run(project, *words, expect=40)
    assert len(done.stderr.strip().splitlines()) == 1 and (key in done.stderr or "grabcut" in done.stderr)


def test_a_damaged_network_of_ones_own_harms_no_other(finished: Project) -> None:
    own = finished.folder / "data" / "weights" / "own" / "fbrs" / "mine"
    own.mkdir(parents=True)
    (own / "network.json").write_text("{")
    run(finished, "refine", "toy", "--requests", "3")
    assert "fbrs:lite" in run(finished, "engines").stdout
    said = run(finished, "refine", "toy", "--segmenter", "fbrs:mine", expect=40).stderr
    assert "network.json" in said and "lis train" in said


def test_a_failure_is_told_in_json_too(project: Project) -> None:
    told = json.loads(run(project, "refine", "toi", "--json", expect=30).stdout)
    assert told["exit_code"] == 30 and "did you mean toy" in told["errors"][0]
    night = json.loads(run(project, "bulk", "--dataset", "set", "--json", expect=20).stdout)
    assert night["sequences"][0]["state"] == "waiting" and (project.folder / night["summary"]).is_dir()


@pytest.mark.slow
def test_a_busy_sequence_is_said_once(project: Project) -> None:
    project.root.mkdir(parents=True)
    with (project.root / ".lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = run(project, "refine", "toy", expect=30).stderr
    assert said.count("another run works on") == 1 and len(said.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["refin", "toy"], 2, "refine"),
        (["refine"], 2, "SEQ"),
        (["refine", ""], 2, "SEQ"),
        (["refine", "toy", "--workers", "0"], 2, "workers"),
        (["status", "--dataset", "nosuch"], 30, "there are: set"),
        (["refine", "toy", "--segmentr", "x"], 2, "--segmenter"),
        (["refine", "toy", "--placement", "middle"], 2, "eq1"),
        (["refine", "toy", "--requests", "many"], 40, "number from 0 to 10000"),
        (["refine", "toy", "--segmenter", "grabcat"], 40, "Did you mean `grabcut`"),
        (["refine", "toi"], 30, "did you mean toy"),
        (["refine", "zebra"], 30, "there are toy"),
        (["import", "nofile.mp4", "--seq", "new"], 30, "nofile.mp4"),
        (["status", "--data-root", "nowhere"], 30, "nowhere"),
        (["train", "fbrs:mine"], 2, "train-root"),
    ],
)
def test_a_mistake_is_one_line_with_the_nearest_right_word(
    project: Project, words: list[str], code: int, said: str
) -> None:
    done = run(project, *words, expect=code)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert said in lines[0]


def test_an_import_of_what_is_there_says_so(project: Project) -> None:
    words = ("import", str(project.frames), "--seq", "again", "--dataset", "set")
    assert "nothing to do" not in run(project, *words).stderr
    assert run(project, *words).stderr == "again: nothing to do, these frames are there already\n"


@pytest.mark.slow
def test_several_sources_are_called_as_they_are_and_one_that_fails_keeps_none_of_the_others(project: Project) -> None:
    many = project.folder / "many"
    for name, first in (("a", 0), ("b.c", 3), ("empty", None), (".hidden", 2)):
        (many / name).mkdir(parents=True)
        for index in range(first, first + 3) if first is not None else ():
            Image.fromarray(project.clip.frame(index)).save(many / name / f"{index}.png")
    (project.folder / "broken.mp4").write_text("no video")
    done = run(project, "import", "broken.mp4", "many", "--dataset", "new", "--start", "1", "--every", "2", expect=30)
    assert "broken.mp4" in done.stderr
    assert "many/empty: passed over" in done.stderr
    assert "b.c: 1 of 3 frames, every 2nd, from frame 1 imported into" in done.stderr
    frames = project.folder / "data" / "new" / "JPEGImages" / "480p"
    assert sorted(path.name for path in frames.iterdir()) == ["a", "b.c"]
    assert [path.name for path in (frames / "a").glob("*.png")] == ["1.png"]
    done = run(project, "import", "many/b.c", "many/a", "--dataset", "new", "--json", expect=30)
    said = json.loads(done.stdout)
    assert [(each["name"], each["imported"], each["exit_code"]) for each in said] == [
        ("b.c", False, 30),
        ("a", False, 30),
    ]
    assert "another part of it" in said[0]["errors"][0]


def test_one_name_is_not_given_to_several_sources() -> None:
    with pytest.raises(click.UsageError, match="found --seq x for 2 sources"):
        import_.main(["a.mp4", "b.mp4", "--seq", "x"], standalone_mode=False)


@pytest.mark.parametrize("name", sorted(lis.commands))
def test_the_help_of_every_command_is_one_screen(name: str) -> None:
    done = subprocess.run(
        [str(LIS), name, "--help"], capture_output=True, text=True, check=True, env={"COLUMNS": "100", "PATH": ""}
    )
    assert len(done.stdout.splitlines()) <= SCREEN_LINES
    assert done.stdout.count(f"Usage: lis {name}") == 1


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--provisional", "false"], False),
        (["--provisional=False"], False),
        (["--no-provisional"], False),
        (["--provisional", "true"], True),
        (["--provisional"], True),
        ([], None),
    ],
)
def test_switches_are_understood_as_luigi_has_them_too(words: list[str], value: bool | None) -> None:
    for given in ([*words, "toy"], ["toy", *words]):
        values = refine.make_context("refine", given).params
        assert (values["seq"], values["provisional"]) == ("toy", value)


def test_every_choice_stands_in_the_help() -> None:
    """Beside the option's name, or, where that leaves no room, in its description."""
    options = [each for command in lis.commands.values() for each in command.params if isinstance(each, click.Option)]
    chosen = [each for each in options if isinstance(each.type, click.Choice)]
    assert {"--format", "--pictures", "--size"} <= {each.opts[0] for each in chosen}
    for each in chosen:
        assert each.metavar is None or all(word in (each.help or "") for word in each.type.choices), each.opts


def test_options_stand_once_under_headings() -> None:
    text = subprocess.run([str(LIS), "refine", "--help"], capture_output=True, text=True, check=True).stdout
    for option in ("--requests", "--segmenter", "--propagator", "--refiner", "--outputs-root"):
        assert text.count(f"{option} ") == 1
    for heading in ("where things lie:", "scribbles:", "anchor masks:", "propagation:", "refinement:", "run:"):
        assert heading in text


def test_completion_offers_commands_sequences_and_engines(project: Project) -> None:
    def offered(words: str) -> list[str]:
        environment = {"_LIS_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()))}
        done = subprocess.run(
            [str(LIS)], cwd=project.folder, capture_output=True, text=True, env=environment, check=False
        )
        return [line.split(",")[1] for line in done.stdout.splitlines()]

    assert "refine" in offered("lis ")
    assert offered("lis refine ") == ["toy"]
    assert "guided" in offered("lis refine toy --refiner ")


@pytest.mark.parametrize("page", ["engines", "weights", "options", "version"])
def test_machines_can_read_what_people_read(project: Project, page: str) -> None:
    read = json.loads(run(project, page, "--json").stdout)
    assert len(read) > 3
    if page == "version":
        assert f"lis {read['lis']}" in run(project, "--version").stdout.splitlines()
    if page == "options":
        assert set(read) == set(OPTIONS)
    if page == "engines":
        assert {"fbrs:lite", "match:lite", "cascadepsp:lite"} <= {row["engine"] for row in read}


@pytest.mark.slow
def test_the_old_small_commands_still_work(project: Project) -> None:
    def small(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tasks", *words], cwd=project.folder, capture_output=True, text=True, check=False,
            env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        )  # fmt: skip

    assert "ok" in small("doctor", "--seq", "toy").stdout
    assert small("weights").returncode == 0
    assert small("options").stdout == (REPOSITORY / "docs" / "options.md").read_text()
    assert small("demo").returncode in (0, 30)


@pytest.mark.slow
def test_the_demo_keeps_scribbles_that_somebody_drew(project: Project) -> None:
    """A set that is there is taken as it is; without its extra the command says how to get the clip, in one line."""
    drawn = project.folder / "data" / "demo" / "Scribbles" / "bunny" / "001.json"
    drawn.parent.mkdir(parents=True)
    drawn.write_text("drawn by a person, badly")
    done = subprocess.run(
        [str(LIS), "demo"], cwd=project.folder, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 30
    assert "001.json" in done.stderr or "pip install" in done.stderr.splitlines()[-1]
    assert drawn.read_text() == "drawn by a person, badly"


def test_options_of_engines_whose_weights_one_fetches_are_listed_but_fill_no_help() -> None:
    def said(*words: str) -> str:
        return subprocess.run([str(LIS), *words], capture_output=True, text=True, check=True).stdout

    assert "--box-padding" in said("refine", "--help")
    assert "--stm-every" not in said("refine", "--help")
    assert "--stm-every" in said("options")
