"""Commands that make something."""

import shlex
import sys
import time
from pathlib import Path
from typing import Any

import luigi
import rich_click as click

from stages.engines import registry
from stages.formats import files
from stages.formats.import_record import names_of, sources_in
from stages.formats.layout import sequence_paths
from stages.steps.demo import DEMO, demo_clip, demo_scribbles
from tasks.anchors import SegmentAnchors
from tasks.bulk import BulkRefine
from tasks.cli.from_tasks import carry_out, command, luigi_options, luigi_words, run
from tasks.cli.output import print_json
from tasks.evaluate import EvaluateSequence
from tasks.export import ExportDataset, ExportSequence
from tasks.import_masks import ImportMasks
from tasks.inputs import ImportSequence
from tasks.prompts import ImportPrompts
from tasks.refine import RefineSequence
from tasks.report import ReportSequence
from tasks.runtime import luigi_command
from tasks.runtime.options import setting
from tasks.runtime.snapshot import Place, root_of
from tasks.submit import JOB, Night, submission_folder, submit
from tasks.train import InstallNetwork

anchors = command("anchors", SegmentAnchors, foresees=False)
refine = command("refine", RefineSequence)
report = command("report", ReportSequence)
evaluate = command("evaluate", EvaluateSequence)
bulk = command("bulk", BulkRefine, "list", optional=True, foresees=False)


def _import(task: type[luigi.Task], argument: str, values: dict[str, Any]) -> int:
    """Import one source after the other, each under its own name; the gravest of their exit codes."""
    given = {name: value for name, value in values.items() if value is not None}
    sources, name = [Path(each) for each in given.pop(argument)], given.pop("seq", "")
    verbose, as_json = given.pop("verbose"), given.pop("json")
    found: list[Path] = []
    for source in sources:
        inside, passed_over = sources_in(source)
        found += inside
        for folder in passed_over:
            sys.stderr.write(f"{folder}: passed over, no picture is in it\n")
    if name and len(found) > 1:
        raise click.UsageError(f"found --seq {name} for {len(found)} sources, which are called as their files are")
    names = [name] if name else names_of(found)
    outcomes = []
    for seq, source in zip(names, found, strict=True):
        outcomes.append(carry_out(task, {**given, argument: source, "seq": seq}, verbose=verbose))
        if outcomes[-1].get("imported") is False and not outcomes[-1]["exit_code"] and not as_json:
            sys.stderr.write(f"{seq}: nothing to do, these frames are there already\n")
    if as_json:
        print_json(outcomes if len(outcomes) > 1 else outcomes[0])
    return max(outcome["exit_code"] for outcome in outcomes)


import_ = command(
    "import",
    ImportSequence,
    "source",
    several=True,
    foresees=False,
    hidden=("seq",),
    work=_import,
    own=[click.Option(["--seq"], metavar="NAME", help="name to give the sequence [that of the file or folder]")],
    help="Bring in videos, pictures of several pages, folders of pictures, or folders of any of these.",
)
import_masks = command("import-masks", ImportMasks, second="source", foresees=False)
import_prompts = command("import-prompts", ImportPrompts, second="source", foresees=False)


def _train(task: type[luigi.Task], argument: str, values: dict[str, Any]) -> int:
    """`fbrs:mine` is the network `mine` in the place of the small network of `fbrs`."""
    family, _, name = str(values[argument]).partition(":")
    small = {engine.spec.name: key for key, engine in registry.small_networks().items()}
    if not name or family not in small:
        names = ", ".join(f"{each}:NAME" for each in small)
        raise click.UsageError(f"found {values[argument]!r}, expected the engine and a name of your own: {names}")
    return run(task, argument, {**values, argument: small[family], "name": name})


train = command(
    "train", InstallNetwork, "network", foresees=False, hidden=("name",), work=_train, metavar="ENGINE:NAME"
)


def _export(task: type[luigi.Task], argument: str, values: dict[str, Any]) -> int:
    """A sequence alone lies with its results; with a name, and if there are several, among the exports."""
    values = {name: value for name, value in values.items() if value not in (None, "")}
    if "name" in values:
        return run(task, argument, values)
    if argument not in values:
        raise click.UsageError("found no --name, expected one for an export of several sequences, or a sequence: SEQ")
    known = {name for name, _ in ExportSequence.get_params()} | {*_WAYS}
    if unknown := [name for name, value in values.items() if value is not False and name not in known]:
        raise click.UsageError(f"found --{unknown[0]} without --name; give one: it goes to outputs/exports/NAME then")
    return run(ExportSequence, argument, {name: value for name, value in values.items() if name in known})


_WAYS = ("workers", "verbose", "json")
export = command(
    "export",
    ExportDataset,
    "seq",
    optional=True,
    foresees=False,
    hidden=("name", "for_correction", "tasks_as"),
    own=[
        click.Option(["--name"], metavar="NAME", help="of the export: the folder below outputs/exports"),
        click.Option(
            ["--for-correction"],
            is_flag=False,
            flag_value=10,
            type=click.IntRange(1),
            metavar="[FRAMES]",
            help="only the frames most worth correcting [10]",
        ),
        click.Option(
            ["--as", "tasks_as"],
            type=click.Choice(("predictions", "annotations")),
            metavar="KIND",
            help="labelstudio: predictions, or people's annotations",
        ),
    ],
    work=_export,
    help="Write masks in a format that others read: of a sequence to outputs/SEQ/export/FORMAT, of several, or with "
    "--name, to outputs/exports/NAME.",
)


_OF_A_LIST = ("list", "dataset")
_OF_A_NIGHT = ("chunk", "progress_bars")


def _submit(_task: type[luigi.Task], _argument: str, values: dict[str, Any]) -> int:
    """Hand the night to Slurm, or show what would be handed over."""
    given = {name: value for name, value in values.items() if value is not None}
    slurm, per_element, at_most = given.pop("slurm", ""), given.pop("per_element", 1), given.pop("at_most", None)
    shows_job, dry_run, as_json = given.pop("print"), given.pop("dry_run"), given.pop("json")
    if shows_job:
        sys.stdout.write(JOB.read_text(encoding="utf-8"))
        return 0
    started = time.time()
    task = luigi_command.task_of(luigi_words(BulkRefine, given))
    assert isinstance(task, BulkRefine)
    element = ReportSequence if task.reports else RefineSequence
    known = {name for name, _ in element.get_params()}
    of_both = {name: value for name, value in given.items() if name in known and name not in _OF_A_LIST}
    of_verdict = {name: value for name, value in given.items() if name not in {*known, *_OF_A_LIST}}
    night = Night(
        names=[one.name if one.refused else f"{one.dataset}/{one.seq}" for one in task.chosen],
        folder=submission_folder(Path(task.outputs_root), started),
        task=element.__name__,
        options=luigi_options(of_both),
        options_of_verdict=luigi_options(of_verdict),
        slurm=tuple(shlex.split(slurm)),
        per_element=per_element,
        at_most=at_most,
        gpu=task.device == "cuda",
    )
    if dry_run:
        shown = (JOB.read_text(encoding="utf-8"), shlex.join(night.array()), shlex.join(night.last_job("JOB")))
        sys.stdout.write("\n".join(shown) + "\n")
        return 0
    job, last_job = submit(night)
    said = {
        "job": job,
        "elements": night.elements,
        "output": str(night.folder),
        "verdict_job": last_job,
        "verdict": str(night.verdict),
    }
    if as_json:
        print_json(said)
    else:
        sys.stderr.write(
            f"job {job}: {len(night.names)} sequences in {night.elements} elements; "
            f"what each says: {night.folder}/*.txt\n  the verdict: {night.verdict}, when all have ended\n"
        )
    return 0


submit_ = command(
    "submit",
    BulkRefine,
    "list",
    optional=True,
    runs=False,
    hidden=_OF_A_NIGHT,
    work=_submit,
    own=[
        click.Option(["--slurm"], metavar="OPTIONS", help="of sbatch, e.g. '--partition=night --time=8:00:00'"),
        click.Option(["--per-element"], type=click.IntRange(1), metavar="NUMBER", help="sequences of an element [1]"),
        click.Option(["--at-most"], type=click.IntRange(1), metavar="NUMBER", help="elements that run at once"),
        click.Option(["--print"], is_flag=True, help="print the job file that every element runs, and do nothing else"),
        click.Option(["--dry-run"], is_flag=True, help="print the job file and what would be submitted"),
        click.Option(["--json"], is_flag=True, help="say what was submitted as JSON, on standard output"),
    ],
    help="Hand a night to Slurm: an array of jobs, and one behind it that gives the verdict.",
)


@click.command
@click.option("--clip", is_flag=True, help="print where the clip lies, and do nothing else")
@click.option("--workers", type=click.IntRange(min=1), metavar="NUMBER", help="tasks that run at once")
def demo(clip: bool, workers: int | None) -> int:
    """Bring in the demo clip with its scribbles, label its 132 frames, and write the report page.

    The clip lies in a package of its own: `pip install 'lis[demo]'`. What is there already is not made again.
    """
    source = demo_clip()
    if clip:
        sys.stdout.write(f"{source}\n")
        return 0
    data_root = Path(setting("data_root"))
    files.make_folder(data_root)
    scribbles = sequence_paths(data_root, DEMO.dataset, DEMO.seq).scribbles / "001.json"
    if not scribbles.exists():
        files.make_folder(scribbles.parent)
        files.replace(scribbles, demo_scribbles().read_bytes())
    shared = {} if workers is None else {"workers": workers}
    where = {"seq": DEMO.seq, "dataset": DEMO.dataset}
    steps = (
        luigi_words(ImportSequence, {**where, "source": source}),
        luigi_words(RefineSequence, {**where, **shared}),
        luigi_words(ReportSequence, {**where, **shared}),
    )
    luigi_command.hide_summary()
    for words in steps:
        if code := luigi_command.run_command(words).exit_code:
            return code
    root = root_of(Place(setting("data_root"), setting("outputs_root"), DEMO.dataset, DEMO.seq))
    sys.stderr.write(f"masks: {root}/masks/   page: {root}/report/index.html\n")
    return 0
