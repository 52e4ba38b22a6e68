"""Commands that look and change nothing."""

import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import luigi
import rich_click as click
from rich.console import Console

from stages.engines import inventory, registry
from stages.engines.engine import Engine
from stages.engines.spec import PLUGS
from stages.formats.layout import datasets_in
from tasks.checkup import check_night
from tasks.choice import Chosen, choose, of_dataset
from tasks.cli.from_tasks import command, luigi_words
from tasks.cli.output import as_json_option, print_json, print_table
from tasks.cli.pages import luigi_cfg, options_page
from tasks.doctor import examine
from tasks.refine import RefineSequence
from tasks.runtime import luigi_command
from tasks.runtime.options import OPTIONS, setting

_weights_root = click.option(
    "--weights-root", type=Path, default=lambda: Path(setting("weights_root")), help="folder of the checkpoints"
)


def _examine(_task: type[luigi.Task], argument: str, values: dict[str, Any]) -> int:
    options = {name: value for name, value in values.items() if value is not None}
    seq, listed, everything = options.pop(argument, None), options.pop("list", ""), options.pop("all")
    if (seq is not None) + bool(listed) + everything != 1:
        raise click.UsageError("expected one of them: SEQ, --list FILE, --all")
    if seq is not None:
        return 0 if examine(_refine(seq, options), Console(soft_wrap=False)) else 30
    dataset, data_root = options.pop("dataset", ""), str(options.get("data_root", setting("data_root")))
    chosen = choose(listed, dataset, data_root) if listed else [*_every_sequence(dataset, data_root)]
    # What is asked for is the same for all; the name of one of them stands for any.
    return 0 if check_night(chosen, _refine("any", options), click.echo) else 30


def _refine(seq: str, options: Mapping[str, Any]) -> RefineSequence:
    task = luigi_command.task_of(luigi_words(RefineSequence, {**options, "seq": seq}))
    assert isinstance(task, RefineSequence)
    return task


def _every_sequence(dataset: str, data_root: str) -> Iterator[Chosen]:
    for name in [dataset] if dataset else datasets_in(Path(data_root)).names:
        yield from of_dataset(name, data_root)


doctor = command(
    "doctor",
    RefineSequence,
    optional=True,
    runs=False,
    work=_examine,
    own=[
        click.Option(["--list"], metavar="FILE", help="a night instead: text file, one sequence a line"),
        click.Option(["--all"], is_flag=True, help="every sequence, of one --dataset or of all"),
    ],
    help="Examine a sequence, or a night, before it begins: every frame, scribbles, engines, disk, memory, hours.",
)


@click.command
@_weights_root
@as_json_option
def engines(weights_root: Path, as_json: bool) -> int:
    """Show every engine of the three plug points, with what it needs and takes."""
    rows = [
        (plug, engine.name, _weights_of(engine, weights_root), _cost_of(engine), engine.spec.summary)
        for plug in PLUGS
        for engine in registry.engines(plug, weights_root)
    ]
    columns = ("plug point", "engine", "weights", "a 480p frame takes", "what it does")
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table(columns, rows)
    return 0


def _cost_of(engine: Engine) -> str:
    cost = engine.cost
    return f"{cost.memory_mib} MiB" if cost.seconds is None else f"{cost.seconds:g} s, {cost.memory_mib} MiB"


def _weights_of(engine: Engine, weights_root: Path) -> str:
    if engine.network is None:
        return "none needed"
    if engine.own is not None:
        return "your own"
    if engine.comes_with_weights:
        return "come with LIS"
    return "missing" if inventory.is_missing(engine, weights_root) else "present"


@click.group(invoke_without_command=True)
@_weights_root
@as_json_option
@click.pass_context
def weights(context: click.Context, weights_root: Path, as_json: bool) -> int:
    """Show which checkpoints are present, missing or wrong, and how to get them."""
    if context.invoked_subcommand:
        return 0
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
        print_json(
            [{**dict(zip(columns, row, strict=True)), "to get it": d} for row, d in zip(rows, downloads, strict=True)]
        )
    else:
        print_table(columns, rows)
        if absent := dict.fromkeys(row.download for row in found if row.state != "present"):
            sys.stdout.write("Nothing is downloaded at run time. To get what is missing:\n\n")
            sys.stdout.write("\n".join(absent) + "\n")
    return 30 if any(row.state == "wrong" for row in found) else 0


@weights.command
@click.argument("engine")
@click.argument("file", type=Path)
@_weights_root
def convert(engine: str, file: Path, weights_root: Path) -> int:
    """Make an ENGINE's checkpoint of the FILE that its authors publish; nothing in that is executed."""
    sys.stdout.write(f"{inventory.convert(engine, file, weights_root)}\n")
    return 0


@click.command
@click.option("--luigi-cfg", "as_settings", is_flag=True, help="print a luigi.cfg with every option and its default")
@as_json_option
def options(as_settings: bool, as_json: bool) -> int:
    """List every option; printed into a file, it is docs/options.md."""
    if as_json:
        print_json({name: option._asdict() for name, option in OPTIONS.items()})
    elif as_settings:
        sys.stdout.write(luigi_cfg())
    elif sys.stdout.isatty():
        rows = [(option.group, name, option.default, option.description) for name, option in OPTIONS.items()]
        print_table(("for", "key, and --flag", "default", "what it does"), rows)
    else:
        sys.stdout.write(options_page())
    return 0


@click.command
@as_json_option
def version(as_json: bool) -> int:
    """Say which version of LIS this is, and of what it rests on."""
    packages = ("lis", "luigi", "torch", "numpy", "opencv-python-headless", "h5py", "pillow", "av")
    found = {"python": sys.version.split()[0], **{name: version_of(name) for name in packages}}
    if as_json:
        print_json(found)
    else:
        sys.stdout.write("\n".join(f"{name} {number}" for name, number in found.items()) + "\n")
    return 0
