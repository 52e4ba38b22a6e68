"""Small commands beside Luigi's: `python -m tasks doctor | weights | options | demo`."""

import argparse
import sys
from pathlib import Path

from luigi.cmdline_parser import CmdlineParser
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tasks import config

console = Console(soft_wrap=False)


def doctor(arguments: list[str]) -> int:
    """Examine a sequence; takes the options of RefineSequence."""
    from tasks.doctor import examine

    with CmdlineParser.global_instance(["RefineSequence", *arguments]) as parser:
        return 0 if examine(parser.get_task_obj(), console) else 30


def weights(arguments: list[str]) -> int:
    """Show which checkpoints are present, missing or wrong, and how to get them."""
    from stages.weights import status

    parser = argparse.ArgumentParser(prog="python -m tasks weights", description=weights.__doc__)
    parser.add_argument("--weights-root", type=Path, default=Path("data/weights"), help="folder of the checkpoints")
    rows = status(parser.parse_args(arguments).weights_root)
    table = Table(title="checkpoints", title_justify="left")
    for column in ("engine", "state", "file", "MiB", "licence", "what is wrong"):
        table.add_column(column, overflow="fold")
    colours = {"present": "green", "missing": "yellow", "wrong": "red"}
    for row in rows:
        size = "" if row.size_mib is None else f"{row.size_mib:.0f}"
        state = f"[{colours[row.state]}]{row.state}[/]"
        table.add_row(row.entry.engine, state, row.path.name, size, row.entry.licence, escape(row.detail))
    console.print(table)
    if absent := dict.fromkeys(row.download for row in rows if row.state != "present"):
        console.print("Nothing is downloaded at run time. To get what is missing:\n")
        console.print("\n".join(absent), soft_wrap=True, markup=False, highlight=False)
    return 30 if any(row.state == "wrong" for row in rows) else 0


def options(_arguments: list[str]) -> int:
    """Print docs/options.md, made from the options themselves."""
    lines = [
        "# Options",
        "",
        "Made by `python -m tasks options`. Each is a key of `[lis]` in `luigi.cfg` and a flag of tasks that use it;",
        "the command line wins over `luigi.cfg`, which wins over the default.",
        "",
        "| key in luigi.cfg | flag | default | what it does |",
        "|---|---|---|---|",
    ]
    for name, (default, description) in config.OPTIONS.items():
        lines.append(
            f"| `{name}` | `--{name.replace('_', '-')}` | {f'`{default}`' if default else ''} | {description} |"
        )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def demo(_arguments: list[str]) -> int:
    """Print where the demo's clip lies."""
    from stages.demo import demo_clip

    sys.stdout.write(f"{demo_clip()}\n")
    return 0


COMMANDS = {"doctor": doctor, "weights": weights, "options": options, "demo": demo}


def main() -> int:
    """Run one of the commands."""
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        lines = [f"  {name:<8} {command.__doc__}" for name, command in COMMANDS.items()]
        sys.stderr.write("usage: python -m tasks COMMAND ...\n" + "\n".join(lines) + "\n")
        return 2
    return COMMANDS[sys.argv[1]](sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
