"""Commands about what is kept on the disk: is it still what was written, and what of it can go."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rich_click as click
from tqdm import tqdm

from stages.steps.clean import Why
from stages.steps.verify import Finding
from tasks.clean import Cleaned
from tasks.clean import clean as clean_one
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
    click.option("--json", "as_json", is_flag=True, help="for machines, on standard output"),
)


def _about_results(function: Any) -> Any:
    """The options that say whose results are meant."""
    for option in reversed(_WHICH):
        function = option(function)
    return function


def _chosen(seq: str | None, everything: bool, dataset: str, data_root: str, outputs_root: str) -> Iterator[Kept]:
    if bool(seq) == everything:
        raise click.UsageError("expected the name of a sequence, or --all")
    if seq:
        return iter([kept_of(Place(data_root, outputs_root, dataset, seq))])
    return everything_kept(data_root, outputs_root, setting("weights_root"), dataset)


@click.command
@_about_results
@click.option("--repair", is_flag=True, help="remove damaged results, so that the next run makes them again")
def verify(
    seq: str | None,
    named_seq: str | None,
    everything: bool,
    dataset: str,
    data_root: str,
    outputs_root: str,
    as_json: bool,
    repair: bool,
) -> int:
    """Read everything that was published, and the inputs, and compare them with what was written down.

    Exit code 0: all is as it was written. 30: something is damaged, or was not looked at, since a run works on it or
    none can.
    Files that LIS has not written, and leftovers of killed runs, are told of and are no damage.
    """
    checked: list[Checked] = []
    with _bar() as bar:

        def looked(_: Path) -> None:
            bar.update()

        for kept in _chosen(seq or named_seq, everything, dataset, data_root, outputs_root):
            bar.set_description(kept.name)

            def found(finding: Finding, name: str = kept.name) -> None:
                if not as_json:
                    bar.write(f"{name}  {finding.fault}  {finding.path}: {finding.detail}", file=sys.stdout)

            one = check(kept, repairs=repair, looked=looked, found=found)
            if one.verdict is Verdict.BUSY and not as_json:
                bar.write(f"{kept.name}  busy  {kept.root}: a run works on it; not looked at", file=sys.stdout)
            checked.append(one)
    sys.stdout.write(json.dumps([_fields(one) for one in checked], indent=1) + "\n" if as_json else _summary(checked))
    return 30 if any(one.verdict in (Verdict.DAMAGED, Verdict.BUSY, Verdict.REFUSED) for one in checked) else 0


@click.command
@_about_results
@click.option("--yes", is_flag=True, help="delete it; without, it is only shown")
def clean(
    seq: str | None,
    named_seq: str | None,
    everything: bool,
    dataset: str,
    data_root: str,
    outputs_root: str,
    as_json: bool,
    yes: bool,
) -> int:
    """Show, or with --yes delete, what a finished sequence no longer needs: soft masks above all.

    A finished sequence stays finished; should something need its soft masks again (a changed stroke, another refiner),
    the run makes them again. Results, pictures, scribbles and foreign files are never touched.
    """
    found = []
    for kept in _chosen(seq or named_seq, everything, dataset, data_root, outputs_root):
        found.append(clean_one(kept, data_root, outputs_root, really=yes))
    code = 30 if any(one.kept.refused for one in found) else 0
    if as_json:
        sys.stdout.write(json.dumps([_fields_of_cleaned(one) for one in found], indent=1) + "\n")
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


def _fields_of_cleaned(one: Cleaned) -> dict[str, Any]:
    return {
        "name": one.kept.name,
        "dataset": one.kept.paths.dataset if one.kept.paths else "",
        "folder": str(one.kept.root),
        "busy": one.busy,
        "refused": one.kept.refused,
        "bytes": one.bytes,
        "removable": [{"why": each.why, "path": str(each.path), "bytes": each.bytes} for each in one.removable],
    }


def _fields(one: Checked) -> dict[str, Any]:
    return {
        "name": one.kept.name,
        "dataset": one.kept.paths.dataset if one.kept.paths else "",
        "folder": str(one.kept.root),
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
