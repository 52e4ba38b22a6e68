"""Commands about what is kept on the disk: is it still what was written, and what of it can go."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import rich_click as click
from tqdm import tqdm

from stages.steps.clean import Why
from stages.steps.verify import Finding
from tasks.clean import Cleaned
from tasks.clean import clean as clean_one
from tasks.cli.output import as_json_option, print_json
from tasks.runtime.options import setting
from tasks.runtime.snapshot import Place
from tasks.verify import Checked, Kept, Verdict, check, everything_kept, kept_of

_WHICH = (
    click.argument("seq", required=False),
    click.option("--seq", "named_seq", hidden=True),
    click.option("--all", "everything", is_flag=True, help="every sequence, and whatever else is published"),
    click.option("--dataset", default="", help="of the sequence; with --all, one dataset only"),
    click.option("--data-root", default=lambda: setting("data_root"), help="folder of the datasets"),
    click.option("--outputs-root", default=lambda: setting("outputs_root"), help="folder of the results"),
    as_json_option,
)


@dataclass(frozen=True)
class _Asked:
    """Whose results are meant, and how to say what was found."""

    kept: Iterator[Kept]
    data_root: str
    outputs_root: str
    as_json: bool


def _about_results(function: Callable[..., int]) -> Any:
    """The options that say whose results are meant: the command gets them as `_Asked`, and its own ones by name."""

    @wraps(function)
    def call(
        seq: str | None,
        named_seq: str | None,
        everything: bool,
        dataset: str,
        data_root: str,
        outputs_root: str,
        as_json: bool,
        **own: Any,
    ) -> int:
        kept = _chosen(seq or named_seq, everything, dataset, data_root, outputs_root)
        return function(_Asked(kept, data_root, outputs_root, as_json), **own)

    decorated: Any = call
    for option in reversed(_WHICH):
        decorated = option(decorated)
    return decorated


def _chosen(seq: str | None, everything: bool, dataset: str, data_root: str, outputs_root: str) -> Iterator[Kept]:
    if bool(seq) == everything:
        raise click.UsageError("expected the name of a sequence, or --all")
    if seq:
        return iter([kept_of(Place(data_root, outputs_root, dataset, seq))])
    return everything_kept(data_root, outputs_root, setting("weights_root"), dataset)


@click.command
@_about_results
@click.option("--repair", is_flag=True, help="remove damaged results, so that the next run makes them again")
def verify(asked: _Asked, repair: bool) -> int:
    """Read everything that was published, and the inputs, and compare them with what was written down.

    Exit code 0: all is as it was written. 30: something is damaged, or was not looked at, since a run works on it or
    none can.
    Files that LIS has not written, and leftovers of killed runs, are told of and are no damage.
    """
    checked: list[Checked] = []
    with _bar() as bar:

        def looked(_: Path) -> None:
            bar.update()

        for kept in asked.kept:
            bar.set_description(kept.name)

            def found(finding: Finding, name: str = kept.name) -> None:
                if not asked.as_json:
                    bar.write(f"{name}  {finding.fault}  {finding.path}: {finding.detail}", file=sys.stdout)

            one = check(kept, repairs=repair, looked=looked, found=found)
            if one.verdict is Verdict.BUSY and not asked.as_json:
                bar.write(f"{kept.name}  busy  {kept.root}: a run works on it; not looked at", file=sys.stdout)
            checked.append(one)
    if asked.as_json:
        print_json([_fields(one) for one in checked])
    else:
        sys.stdout.write(_summary(checked))
    return 30 if any(one.verdict in (Verdict.DAMAGED, Verdict.BUSY, Verdict.REFUSED) for one in checked) else 0


@click.command
@_about_results
@click.option("--yes", is_flag=True, help="delete it; without, it is only shown")
def clean(asked: _Asked, yes: bool) -> int:
    """Show, or with --yes delete, what a finished sequence no longer needs: soft masks above all.

    A finished sequence stays finished; should something need its soft masks again (a changed stroke, another refiner),
    the run makes them again. Results, pictures, scribbles and foreign files are never touched.
    """
    found = [clean_one(kept, asked.data_root, asked.outputs_root, really=yes) for kept in asked.kept]
    code = 30 if any(one.kept.refused for one in found) else 0
    if asked.as_json:
        print_json([_fields_of_cleaned(one) for one in found])
        return code
    for one in found:
        if one.kept.refused:
            sys.stdout.write(f"{one.kept.name}  refused: {one.kept.refused}; not looked at\n")
        if one.busy:
            sys.stdout.write(f"{one.kept.name}  busy: a run works on it; not looked at\n")
        for why in Why:
            of_kind = [each for each in one.removable if each.why is why]
            if of_kind:
                size = sum(each.bytes for each in of_kind) / 2**20
                sys.stdout.write(f"{one.kept.name}  {size:,.1f} MiB  {why} ({len(of_kind)})\n")
    total = sum(one.bytes for one in found) / 2**20
    sys.stdout.write(f"{total:,.1f} MiB freed\n" if yes else f"{total:,.1f} MiB can be freed; --yes deletes them\n")
    return code


def _fields_of_kept(kept: Kept) -> dict[str, Any]:
    return {
        "name": kept.name,
        "dataset": kept.paths.dataset if kept.paths else "",
        "folder": str(kept.root),
    }


def _fields_of_cleaned(one: Cleaned) -> dict[str, Any]:
    return {
        **_fields_of_kept(one.kept),
        "busy": one.busy,
        "refused": one.kept.refused,
        "bytes": one.bytes,
        "removable": [{"why": each.why, "path": str(each.path), "bytes": each.bytes} for each in one.removable],
    }


def _fields(one: Checked) -> dict[str, Any]:
    return {
        **_fields_of_kept(one.kept),
        "verdict": one.verdict,
        "files": one.files,
        "bytes": one.bytes,
        "findings": [{"fault": each.fault, "path": str(each.path), "detail": each.detail} for each in one.findings],
    }


def _summary(checked: list[Checked]) -> str:
    files, size = sum(one.files for one in checked), sum(one.bytes for one in checked)
    lines = [f"{len(checked)} looked at, {files:,} files, {size / 2**20:,.1f} MiB read"]
    for verdict, meaning in (
        (Verdict.DAMAGED, "damaged; --repair removes damaged results, so that the next run makes them again"),
        (
            Verdict.REPAIRED,
            "had damaged results, which were removed; run the same command as before to make them again",
        ),
        (Verdict.BUSY, "not looked at, since a run works on it"),
        (Verdict.REFUSED, "not looked at, since no run can work on it"),
    ):
        names = [one.kept.name for one in checked if one.verdict is verdict]
        if names:
            lines.append(f"{len(names)} {meaning}: {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}")
    if len(lines) == 1:
        lines.append("all of it is as it was written")
    return "\n".join(lines) + "\n"


@contextmanager
def _bar() -> Iterator["tqdm[Any]"]:
    with tqdm(unit=" files", leave=False, disable=not sys.stderr.isatty()) as bar:
        yield bar
