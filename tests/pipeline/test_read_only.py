"""A disk that is not to be written: one line that names the file and the option that helps, and no stack trace."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.test_cli import run
from tests.conftest import Project
from tests.pipeline.test_second_dataset import paint

Mount = Callable[[Path], None]


@pytest.fixture
def read_only() -> Iterator[Mount]:
    """Mounts a folder over itself, not to be written; root may write whatever permissions say."""
    mounted: list[Path] = []

    def mount(folder: Path) -> None:
        for command in (["mount", "--bind", folder, folder], ["mount", "-o", "remount,ro,bind", folder]):
            if subprocess.run(command, capture_output=True, check=False).returncode:
                pytest.skip("this machine does not let a test mount")
            mounted[:] = [*mounted, folder] if folder not in mounted else mounted

    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


def one_line(output: str, *words: str) -> None:
    assert "Traceback" not in output
    (line,) = (line for line in output.splitlines() if line.startswith("ERROR"))
    assert all(word in line for word in words), line


@pytest.mark.slow
def test_strokes_that_wait_beside_a_read_only_dataset(project: Project, read_only: Mount) -> None:
    project.run(expect=20)
    for index in (2, 5, 8, 11):
        paint(project, index)
    read_only(project.folder / "data")
    folder = f"--data-root={project.folder / 'data'}"
    said = run(project, "doctor", "toy", "--requests", "3", folder, expect=30).stdout
    assert "problem" in said and "--scribbles-root" in said, "foreseen"
    one_line(project.run(expect=30), "Scribbles/toy/001.json", "Read-only file system", "--scribbles-root")
    project.run("RefineSequence", "--scribbles-root", "drawn")
    assert (project.folder / "drawn" / "toy" / "001.json").exists()


@pytest.mark.slow
def test_results_that_cannot_be_written(finished: Project, read_only: Mount) -> None:
    read_only(finished.folder / "outputs")
    finished.run()
    one_line(finished.run("ReportSequence", "--brush-px", "5", expect=30), "outputs/toy", "Read-only", "--outputs-root")
    one_line(finished.run("BulkRefine", "--list", "", "--dataset", "set", expect=30), "outputs/bulk", "Read-only")


@pytest.mark.slow
def test_a_report_whose_place_is_taken(finished: Project) -> None:
    for path in sorted((finished.root / "report").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (finished.root / "report").rmdir()
    (finished.root / "report").write_text("a person's own")
    one_line(finished.run("ReportSequence", expect=30), "outputs/toy/report: Not a directory")
    assert (finished.root / "report").read_text() == "a person's own"
