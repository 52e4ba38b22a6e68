"""Commands that look and change nothing."""

import json
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import luigi
import rich_click as click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stages.core.states import State
from stages.engines import inventory, registry
from stages.engines.spec import PLUGS
from stages.formats.layout import datasets_in
from stages.formats.names import shown
from tasks.choice import of_dataset
from tasks.cli.from_tasks import command, luigi_words
from tasks.cli.pages import luigi_cfg, options_page
from tasks.doctor import examine
from tasks.refine import RefineSequence
from tasks.runtime import luigi_hooks
from tasks.runtime.options import OPTIONS, setting
from tasks.status import Standing, standing

_FILE_COLUMNS = 160
_WIDEST_CELL = 60
_COLOURS = {
    "done": "green", "waiting": "yellow", "running": "cyan", "failed": "red", "stopped": "magenta",
    "present": "green", "missing": "yellow", "wrong": "red",
}  # fmt: skip
_as_json = click.option("--json", "as_json", is_flag=True, help="for machines, on standard output")
_weights_root = click.option(
    "--weights-root", type=Path, default=lambda: Path(setting("weights_root")), help="folder of the checkpoints"
)


def _examine(_task: type[luigi.Task], _argument: str, values: dict[str, Any]) -> int:
    words = luigi_words(RefineSequence, {name: value for name, value in values.items() if value is not None})
    task = luigi_hooks.task_of(words)
    assert isinstance(task, RefineSequence)
    return 0 if examine(task, Console(soft_wrap=False)) else 30


doctor = command(
    "doctor",
    RefineSequence,
    runs=False,
    work=_examine,
    help="Examine a sequence before the night: frames, scribbles, engines, disk, and what is still to be made.",
)


@click.command
@click.option("--data-root", default=None, help="folder of the datasets")
@click.option("--outputs-root", default=None, help="folder of the results")
@click.option("--dataset", default=None, help="one dataset; else all of them")
@_as_json
def status(data_root: str | None, outputs_root: str | None, dataset: str | None, as_json: bool) -> int:
    """Show every sequence and how far it is."""
    given = {"data_root": data_root, "outputs_root": outputs_root}
    given = {name: value for name, value in given.items() if value is not None}
    root = Path(data_root or setting("data_root"))
    rows = []
    datasets = datasets_in(root)
    for each in [dataset] if dataset else datasets.names:
        for one in of_dataset(each, str(root)):
            if one.refused:
                found = Standing(State.FAILED, one.refused)
            else:
                found = standing(RefineSequence(seq=one.seq, dataset=one.dataset, **given))
            rows.append((one.name, one.dataset, str(found.state), found.reason.partition("\n")[0]))
    if not dataset:
        rows += [("", shown(name), str(State.FAILED), f"{name!r} {why}") for name, why in datasets.unfit.items()]
    columns = ("sequence", "dataset", "state", "why")
    if as_json:
        _print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        _print_table(columns, rows)
    return 0


@click.command
@_weights_root
@_as_json
def engines(weights_root: Path, as_json: bool) -> int:
    """Show every engine of the three plug points, with what it needs and takes."""
    rows = [
        (plug, engine.name, _weights_of(engine, weights_root), _cost_of(engine), engine.spec.summary)
        for plug in PLUGS
        for engine in registry.engines(plug, weights_root)
    ]
    columns = ("plug point", "engine", "weights", "a 480p frame takes", "what it does")
    if as_json:
        _print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        _print_table(columns, rows)
    return 0


def _cost_of(engine: registry.Engine) -> str:
    cost = engine.cost
    return f"{cost.memory_mib} MiB" if cost.seconds is None else f"{cost.seconds:g} s, {cost.memory_mib} MiB"


def _weights_of(engine: registry.Engine, weights_root: Path) -> str:
    if engine.network is None:
        return "none needed"
    if engine.own is not None:
        return "your own"
    if engine.comes_with_weights:
        return "come with LIS"
    return "missing" if inventory.is_missing(engine, weights_root) else "present"


@click.command
@_weights_root
@_as_json
def weights(weights_root: Path, as_json: bool) -> int:
    """Show which checkpoints are present, missing or wrong, and how to get them."""
    found = inventory.status(weights_root)
    columns = ("engine", "state", "file", "MiB", "licence", "what is wrong")
    rows = [
        (
            row.engine.name,
            row.state,
            row.path.name,
            "" if row.size_mib is None else f"{row.size_mib:.0f}",
            row.licence,
            row.detail,
        )
        for row in found
    ]
    if as_json:
        downloads = [row.download for row in found]
        _print_json(
            [{**dict(zip(columns, row, strict=True)), "to get it": d} for row, d in zip(rows, downloads, strict=True)]
        )
    else:
        _print_table(columns, rows)
        if absent := dict.fromkeys(row.download for row in found if row.state != "present"):
            sys.stdout.write("Nothing is downloaded at run time. To get what is missing:\n\n")
            sys.stdout.write("\n".join(absent) + "\n")
    return 30 if any(row.state == "wrong" for row in found) else 0


@click.command
@click.option("--luigi-cfg", "as_settings", is_flag=True, help="print a luigi.cfg with every option and its default")
@_as_json
def options(as_settings: bool, as_json: bool) -> int:
    """List every option; printed into a file, it is docs/options.md."""
    if as_json:
        _print_json({name: option._asdict() for name, option in OPTIONS.items()})
    elif as_settings:
        sys.stdout.write(luigi_cfg())
    elif sys.stdout.isatty():
        rows = [(option.group, name, option.default, option.description) for name, option in OPTIONS.items()]
        _print_table(("for", "key, and --flag", "default", "what it does"), rows)
    else:
        sys.stdout.write(options_page())
    return 0


@click.command
@_as_json
def version(as_json: bool) -> int:
    """Say which version of LIS this is, and of what it rests on."""
    packages = ("lis", "luigi", "torch", "numpy", "opencv-python-headless", "h5py", "pillow", "av")
    found = {"python": sys.version.split()[0], **{name: version_of(name) for name in packages}}
    if as_json:
        _print_json(found)
    else:
        sys.stdout.write("\n".join(f"{name} {number}" for name, number in found.items()) + "\n")
    return 0


def _print_table(columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(box=None, pad_edge=False)
    *narrow, last = columns
    for number, column in enumerate(narrow):
        table.add_column(column, no_wrap=all(len(row[number]) <= _WIDEST_CELL for row in rows), overflow="fold")
    table.add_column(last, overflow="fold")
    for row in rows:
        table.add_row(*(f"[{_COLOURS[cell]}]{cell}[/]" if cell in _COLOURS else escape(cell) for cell in row))
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _FILE_COLUMNS
    Console(soft_wrap=False, width=wide).print(table)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=1) + "\n")
