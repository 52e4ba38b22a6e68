"""Plug-ins lean on what CONTRIBUTING.md documents, and on nothing else of LIS."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
MODULES = sorted(REPOSITORY.glob("plugins/*/lis_*/**/*.py"))


def imported(module: Path) -> Iterator[str]:
    """The modules of LIS that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(module.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
        yield from (name for name in names if name.partition(".")[0] in ("stages", "tasks"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(REPOSITORY / "plugins")))
def test_a_plugin_leans_on_what_is_documented(module: Path) -> None:
    documented = (REPOSITORY / "CONTRIBUTING.md").read_text()
    assert [name for name in imported(module) if f"`{name}`" not in documented] == []
