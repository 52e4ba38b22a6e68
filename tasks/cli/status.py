"""`lis status`: every sequence, and how far it is."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import rich_click as click

from stages.core.errors import InputError, LisError
from stages.core.states import State
from stages.core.words import how_long
from stages.formats import results
from stages.formats.layout import RESERVED, datasets_in
from stages.formats.names import shown
from tasks.choice import Chosen, of_dataset
from tasks.cli.from_tasks import option_of
from tasks.cli.output import as_json_option, print_json, print_table
from tasks.night import close_killed_nights
from tasks.overview import Overview, overview, usage
from tasks.refine import RefineSequence
from tasks.runtime.looks import look_at
from tasks.runtime.options import setting
from tasks.status import Standing, seconds_since

_OF_PLAN: Final = ("scribbles", "scribbles_root", "requests", "placement")
_COLUMNS: Final = ("sequence", "dataset", "state", "doubt", "took", "size", "changed", "why")


@click.command(params=[option_of(name, each) for name, each in RefineSequence.get_params() if name in _OF_PLAN])
@click.argument("seq", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="results whose pictures are in no dataset, too")
@click.option("--data-root", default=None, help="folder of the datasets")
@click.option("--outputs-root", default=None, help="folder of the results")
@click.option("--dataset", default=None, help="one dataset; else all of them")
@as_json_option
def status(
    seq: tuple[str, ...],
    everything: bool,
    data_root: str | None,
    outputs_root: str | None,
    dataset: str | None,
    as_json: bool,
    **plan: str | None,
) -> int:
    """Show every sequence, or some: how far it is, how far its masks can be trusted, what it took.

    Without options of scribbles, as the last run meant it.
    """
    roots = {"data_root": data_root or setting("data_root"), "outputs_root": outputs_root or setting("outputs_root")}
    close_killed_nights(Path(roots["outputs_root"]))
    chosen = list(_chosen(roots["data_root"], dataset, seq))
    given = {name: value for name, value in plan.items() if value is not None}
    look = partial(_look, options={**roots, **given}, as_asked=bool(given.keys() - {"scribbles_root"}))
    found = [*zip(chosen, look_at(chosen, look), strict=True)]
    if everything:
        found += _orphans(Path(roots["outputs_root"]), chosen, roots)
    if as_json:
        print_json([_as_json(one, seen) for one, seen in found])
    else:
        _print(found)
    return 0


def _chosen(data_root: str, dataset: str | None, wanted: Sequence[str]) -> Iterator[Chosen]:
    """The sequences of the datasets, and what beside them has a name that cannot be worked with."""
    datasets = datasets_in(Path(data_root))
    missing = set(wanted)
    for name in [dataset] if dataset else datasets.names:
        for one in of_dataset(name, data_root):
            if not wanted or {one.seq, f"{name}/{one.seq}"} & set(wanted):
                missing -= {one.seq, f"{name}/{one.seq}"}
                yield one
    if not dataset and not wanted:
        yield from (Chosen("", "", shown(name), f"{name!r} {why}") for name, why in datasets.unfit.items())
    if missing:
        raise InputError(f"found no sequence {', '.join(sorted(missing))}; `lis status` lists what is there")


def _look(one: Chosen, options: Mapping[str, str], *, as_asked: bool) -> Overview:
    if one.refused:
        return Overview(Standing(State.FAILED, one.refused))
    task: RefineSequence = RefineSequence.from_str_params({**options, "seq": one.seq, "dataset": one.dataset})
    return overview(task, as_asked=as_asked)


def _orphans(
    outputs_root: Path, chosen: Sequence[Chosen], roots: Mapping[str, str]
) -> Iterator[tuple[Chosen, Overview]]:
    """Folders of results that belong to none of the sequences."""
    owned = set()
    for one in chosen:
        try:
            owned.add(RefineSequence(seq=one.seq, dataset=one.dataset, **roots).root)
        except LisError:
            continue
    for path in sorted(outputs_root.glob(f"*/{results.FRAMES}")) + sorted(outputs_root.glob(f"*/*/{results.FRAMES}")):
        root = path.parent
        name = root.relative_to(outputs_root)
        if root in owned or name.parts[0] in RESERVED:
            continue
        why = f"no dataset of {roots['data_root']} has this sequence"
        size_bytes, changed = usage(root)
        seen = Overview(Standing(State.ORPHANED, why), None, seconds_since(root, 0), size_bytes, changed)
        yield Chosen(shown(str(name)), name.name, str(name.parent) if len(name.parts) > 1 else ""), seen


def _as_json(one: Chosen, seen: Overview) -> dict[str, Any]:
    found = seen.standing
    return {
        "sequence": one.name,
        "dataset": one.dataset,
        "state": str(found.state),
        "why": found.reason.partition("\n")[0],
        "warning": seen.warning,
        "waiting_for": list(found.waiting_for),
        "to_approve": list(found.to_approve),
        "running": asdict(found.work) if found.work else None,
        "doubt": asdict(seen.doubt) if seen.doubt else None,
        "seconds": seen.seconds,
        "bytes": seen.size_bytes,
        "changed": None if seen.changed is None else time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seen.changed)),
    }


def _print(found: Sequence[tuple[Chosen, Overview]]) -> None:
    if not found:
        sys.stdout.write(
            "no sequences, expected <dataset>/JPEGImages/480p/<sequence>/; lis import VIDEO brings one in\n"
        )
        return
    rows = [_row(one, seen) for one, seen in found]
    several = len({row[1] for row in rows}) > 1
    filled = [n for n in range(len(_COLUMNS)) if any(row[n] for row in rows) and (_COLUMNS[n] != "dataset" or several)]
    print_table([_COLUMNS[number] for number in filled], [tuple(row[number] for number in filled) for row in rows])


def _row(one: Chosen, seen: Overview) -> tuple[str, ...]:
    found, doubt = seen.standing, seen.doubt
    return (
        one.name,
        one.dataset,
        str(found.state),
        f"{doubt.mean:.2f}, {doubt.worst:.2f} at {doubt.frame}" if doubt else "",
        how_long(seen.seconds) if seen.seconds else "",
        f"{seen.size_bytes / 2**20:.1f} MiB" if seen.size_bytes else "",
        "" if seen.changed is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seen.changed)),
        "; ".join(filter(None, [found.reason.partition("\n")[0], seen.warning])),
    )
