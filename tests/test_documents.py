"""What people read is in step with the code."""

import re
from pathlib import Path

import pytest

from stages.engines import registry
from stages.engines.spec import PLUGS, Plug
from tasks.cli import lis
from tasks.cli.pages import luigi_cfg, options_page
from tests.conftest import REPOSITORY

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
ROWS: dict[Plug, str] = {"segmenter": "anchor masks", "propagator": "propagation", "refiner": "refinement"}


@pytest.mark.parametrize("plug", PLUGS)
def test_the_readme_has_every_engine_in_its_column(plug: Plug) -> None:
    text = (REPOSITORY / "README.md").read_text()
    (row,) = re.findall(rf"^\| {ROWS[plug]} \|(.*)\|$", text, re.MULTILINE)
    shipped, without, checkpoints = (set(re.findall(r"`([^`]+)`", cell)) for cell in row.split("|"))
    every = list(registry.engines(plug))
    assert without == {engine.name for engine in every if engine.network is None}
    assert shipped == {engine.name for engine in every if engine.comes_with_weights}
    assert checkpoints == {engine.name for engine in every if engine.network and not engine.comes_with_weights}


def test_pages_that_are_made_from_the_code_are_in_step() -> None:
    assert (REPOSITORY / "docs" / "options.md").read_text() == options_page(), "run `make docs`"
    assert (REPOSITORY / "luigi.cfg").read_text() == luigi_cfg(), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / link).exists(), link
    for command in re.findall(r"(?:^ {4}|`)lis ([a-z]+)", text, re.MULTILINE):
        assert command in lis.commands or command == "count", command
    for program in re.findall(r"python -m (benchmarks\.\w+)", text):
        assert (REPOSITORY / f"{program.replace('.', '/')}.py").is_file(), program
    for place in re.findall(r"`((?:stages|tasks|tests)/[\w/.]+)`", text):
        assert (REPOSITORY / place).exists(), place


def test_pages_for_users_are_short() -> None:
    """Results, performance and parity are a page each; what was tried lies in docs/lab."""
    for name in ("results", "performance", "parity", "evaluation", "training"):
        assert len((REPOSITORY / "docs" / f"{name}.md").read_text().splitlines()) <= 120, name


def test_modules_that_texts_name_are_there() -> None:
    """In docstrings, messages, comments, cards and pages."""
    files = [
        *PAGES,
        *(path for part in ("stages", "tasks", "benchmarks") for path in (REPOSITORY / part).rglob("*.py")),
    ]
    files += (REPOSITORY / "stages").rglob("*.md")
    for file in files:
        for name in set(re.findall(r"[`'\" ]((?:stages|tasks)\.[a-z_]+(?:\.[a-z_]+)*)[`'\" .,]", file.read_text())):
            parts = name.split(".")
            exists = any(
                (REPOSITORY.joinpath(*parts[:length])).is_dir()
                or (REPOSITORY.joinpath(*parts[:length])).with_suffix(".py").exists()
                for length in (len(parts), len(parts) - 1)
                if length > 1
            )
            assert exists, f"{file}: {name}"
