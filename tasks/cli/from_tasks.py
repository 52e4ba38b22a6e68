"""Commands made of tasks: each parameter is an option, and running the command is running Luigi."""

import math
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import luigi
import rich_click as click
from click.shell_completion import CompletionItem

from stages.core.errors import LisError
from stages.core.states import State
from stages.core.words import how_long
from stages.engines import registry
from stages.formats import paintings, results
from stages.formats.layout import list_datasets, list_sequences
from stages.formats.night import summary_of_command
from tasks.anchors import SegmentAnchors
from tasks.bulk import BulkRefine
from tasks.cli.output import print_json
from tasks.export import ExportDataset
from tasks.inputs import ImportSequence
from tasks.refine import RefineSequence
from tasks.runtime import locks, luigi_command, luigi_hooks, runs
from tasks.runtime.options import OPTIONS, ChoiceParameter, EngineParameter, NumberParameter, Option, setting
from tasks.runtime.published import PublishedTask
from tasks.runtime.sequence import SequenceTask
from tasks.status import emptiness, estimate, standing, standing_of_last_run, unfinished

Task = type[luigi.Task]
_RUN: Final = "run"
_OWN: Final = "this command"
_LONGEST_CHOICE: Final = 20
"""Characters that the choices of an option may take beside its name; longer ones leave its help no room."""
_SWITCHED: Final = {"true": True, "false": False}


class _Command(click.RichCommand):
    """A command whose switches are understood as `luigi` has them, too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`--provisional false` and `--provisional=false` are `--no-provisional`."""
        opposite = {each.opts[0]: each.secondary_opts[0] for each in self.params if each.secondary_opts}
        words: list[str] = []
        for word in args:
            flag, equals, value = word.partition("=")
            if equals and flag in opposite and value.lower() in _SWITCHED:
                words.append(flag)
            elif words and words[-1] in opposite and word.lower() in _SWITCHED:
                value = word
            else:
                words.append(word)
                continue
            if not _SWITCHED[value.lower()]:
                words[-1] = opposite[words[-1]]
        return super().parse_args(ctx, words)


def command(
    name: str,
    task: Task,
    argument: str = "seq",
    *,
    second: str = "",
    optional: bool = False,
    several: bool = False,
    runs: bool = True,
    foresees: bool = True,
    hidden: tuple[str, ...] = (),
    work: Callable[[Task, str, dict[str, Any]], int] | None = None,
    metavar: str = "",
    own: Sequence[click.Option] = (),
    **more: Any,
) -> click.RichCommand:
    """A command that runs a task.

    Args:
        name: the command's.
        task: what it runs; its docstring's first line is the help.
        argument: the parameter that needs no option's name.
        second: another one behind it.
        optional: whether it may be left out.
        several: whether it may be given several times; `work` gets a tuple then.
        runs: whether the command runs the task, and so has options of running.
        foresees: whether it can tell beforehand what a run would do.
        hidden: parameters that are no options of this command.
        work: what the command does with the task, the argument's name and the values, if not `run`; its exit code.
        metavar: what the argument is called; without one, as the parameter.
        own: options of the command that are no parameters of the task.
        more: for `click.Command`.
    """
    parameters = {each: p for each, p in task.get_params() if each not in (argument, second, *hidden)}
    groups: dict[str, list[click.Option]] = {_OWN: [*own]}
    for each, parameter in parameters.items():
        described = _described(each, parameter)
        group = described.group if described else _OWN
        groups.setdefault(group, []).append(option_of(each, parameter))
    groups[_RUN] = _run_options(dry=foresees) if runs else []
    metavar = metavar or argument.upper()
    complete = _complete_sequence if argument == "seq" else None
    given = click.Argument(
        [argument],
        required=False,
        nargs=-1 if several else 1,
        metavar=f"[{metavar}]" if optional else metavar + "..." * several,
        shell_complete=complete,
    )
    also = [click.Argument([second], required=False, metavar=second.upper())] if second else []
    positional = {argument: metavar, second: second.upper()} if second else {argument: metavar}
    usage = " ".join(["lis", name, *positional.values()])
    named = [  # as Luigi has them
        click.Option([f"--{each}", f"named_{each}"], hidden=True, multiple=several and each == argument)
        for each in positional
    ]

    def call(**values: Any) -> int:
        for each, shown in positional.items():
            by_name = values.pop(f"named_{each}")
            if several and each == argument:
                values[each] += by_name
            elif values[each] is None:
                values[each] = by_name
            if not values[each] and not optional:
                raise click.UsageError(f"found no {shown}, expected one: {usage}")
        return (work or run)(task, argument, values)

    panels: list[click.RichPanel[Any, Any]] = [
        click.RichOptionPanel(
            group, options=[each.opts[0] for each in members if not each.hidden] + ["--help"] * (group == _RUN)
        )
        for group, members in groups.items()
        if members
    ]
    return _Command(
        name,
        callback=call,
        params=[given, *also, *named, *(each for members in groups.values() for each in members)],
        panels=panels,
        **{"help": (task.__doc__ or "").split("\n\n")[0], **more},
    )


def _described(name: str, parameter: luigi.Parameter[Any]) -> Option | None:
    """What the documentation says of a parameter, if it is an option of [lis] and not another one of its name."""
    described = OPTIONS.get(name)
    return described if described and (parameter.description or "").startswith(described.description) else None


def option_of(name: str, parameter: luigi.Parameter[Any]) -> click.Option:
    """The option of a command that stands for a parameter; None is the value of one that was not given."""
    described = _described(name, parameter)
    flag, kind, metavar = f"--{name.replace('_', '-')}", None, None
    description = described.description if described else parameter.description or ""
    shell_complete: Callable[..., list[CompletionItem]] | None = None
    if isinstance(parameter, ChoiceParameter):
        kind = click.Choice(parameter.choices)
        if len("|".join(parameter.choices)) > _LONGEST_CHOICE:
            metavar = name.upper()  # the description lists them
        else:
            description = description.partition(f": {parameter.choices[0]}")[0]
    elif isinstance(parameter, luigi.BoolParameter):
        flag = f"{flag}/--no-{name.replace('_', '-')}"
    elif isinstance(parameter, NumberParameter):
        metavar = "NUMBER"
    elif isinstance(parameter, EngineParameter):
        metavar, shell_complete = "ENGINE", _completer_of(parameter)
        description = f"{description.partition(': ')[0]} (lis engines)"
    value = described.default if described else luigi_command.default_of(parameter)
    default = f" [{value}]" if value else ""
    return click.Option(
        [flag],
        type=kind,
        # To click, a default of None is a value: a switch that was not given, but not an option that must be given.
        **({"required": True} if luigi_command.is_required(parameter) else {"default": None}),
        metavar=metavar,
        shell_complete=shell_complete,
        help=f"{description}{default}",
        hidden=bool(described and not described.in_help),
    )


def _run_options(*, dry: bool) -> list[click.Option]:
    ways = [
        click.Option(["--workers"], type=click.IntRange(1), metavar="NUMBER", help="tasks that run at once"),
        click.Option(["--verbose"], is_flag=True, help="Luigi's own summary, too"),
        click.Option(["--json"], is_flag=True, help="say the outcome as JSON, on standard output"),
    ]
    if dry:
        ways.append(
            click.Option(["--dry-run"], is_flag=True, help="say what would run, how long it takes, what is missing")
        )
    return ways


# --- running ---------------------------------------------------------------------------------------------------------


def run(task: Task, argument: str, values: dict[str, Any]) -> int:
    """Run a task with these values (None: not given), and say in two lines what was done; the exit code."""
    options = {name: value for name, value in values.items() if value is not None}
    verbose, as_json = options.pop("verbose", False), options.pop("json", False)
    dry_run = options.pop("dry_run", False)
    if dry_run:
        return _foresee(luigi_words(task, options), as_json=as_json)
    said = carry_out(task, options, verbose=verbose)
    if as_json:
        print_json(said)
    elif said.get("sequence") and issubclass(task, PublishedTask | SegmentAnchors):  # others have said it themselves
        _say(said)
    elif said.get("export"):
        _say_export(said)
    exit_code: int = said["exit_code"]
    return exit_code


def carry_out(task: Task, options: Mapping[str, Any], *, verbose: bool) -> dict[str, Any]:
    """Run a task with these parameters; what it came to, as `--json` says it."""
    words = luigi_words(task, options)
    if not verbose:
        luigi_command.hide_summary()
    started = time.time()
    _refuse_if_busy(luigi_command.task_of(words))
    outcome = luigi_command.run_command(words)
    runs.leave_all()  # what is said of the sequence from here on is what anybody would say who looks at it
    return _outcome(words, outcome, started)


def _refuse_if_busy(task: luigi.Task) -> None:
    """Before anything is scheduled: each stage would say it again."""
    try:
        if not isinstance(task, SequenceTask) or task.only_looks or luigi_hooks.has_central_scheduler():
            return
        if locks.is_taken(task.root):
            locks.require(task.root, shared=False)
    except locks.BusyError:
        raise
    except LisError:
        pass  # the run meets it, and tells it


def luigi_words(task: Task, options: Mapping[str, Any]) -> list[str]:
    """The command line of Luigi that runs a task with these parameters."""
    return ["--module", "tasks", task.__name__, *luigi_options(options)]


def luigi_options(options: Mapping[str, Any]) -> list[str]:
    """These parameters on a command line of Luigi."""
    words = []
    for name, value in options.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        words.append(f"--{name.replace('_', '-')}={text}")  # one word: the text may begin with a hyphen
    return words


def _outcome(words: list[str], outcome: luigi_command.Outcome, started: float) -> dict[str, Any]:
    """What a run came to, as `--json` says it."""
    task = luigi_command.task_of(words)
    said: dict[str, Any] = {
        "task": task.task_family,
        "exit_code": outcome.exit_code,
        "seconds": round(time.time() - started, 1),
        "errors": list(outcome.errors),
        **outcome.figures,
    }
    try:
        if isinstance(task, BulkRefine):
            said |= summary_of_command(Path(task.outputs_root), os.getpid(), platform.node(), started)
        if isinstance(task, ImportSequence):
            said |= {"name": task.seq, "imported": results.is_published_since(task.paths.frames, started)}
        if isinstance(task, ExportDataset) and not outcome.exit_code:
            said |= {"export": str(task.target()), "made": results.is_published_since(task.target(), started)}
        if isinstance(task, SequenceTask):
            said |= _outcome_of_sequence(task, outcome, started)
    except LisError:
        pass  # it is among the errors
    return said


def _outcome_of_sequence(task: SequenceTask, outcome: luigi_command.Outcome, started: float) -> dict[str, Any]:
    """How a sequence stands after a run, and what the run has made of it."""
    refine = task.clone(RefineSequence)
    if outcome.exit_code:
        failed = outcome.exit_code == State.FAILED.exit_code
        found = standing(refine, "; ".join(outcome.errors) or "failed" if failed else "")
    else:
        found = standing_of_last_run(refine)
    meanwhile = refine.provisional_result()  # also beside a result that was made with other options
    made = Counter(manifest.stage for manifest in results.published_since(task.root, started))
    return {
        "sequence": task.seq,
        "state": str(found.state),
        "made": dict(made),
        "waiting_for": list(found.waiting_for),
        "to_approve": list(found.to_approve),
        "provisional": str(meanwhile.target()) if meanwhile is not None and meanwhile.complete() else "",
        "empty": emptiness(refine, found),
        "requests": str(task.root / paintings.FOLDER) if found.waiting_for else "",
        "result": str(task.target()) if isinstance(task, PublishedTask) and not outcome.exit_code else "",
    }


def _say(said: Mapping[str, Any]) -> None:
    """Two lines: what was done, and where the result is or what is missing."""
    name, code, made = said["sequence"], said["exit_code"], said["made"]
    what = ", ".join(f"{number} {stage}" for stage, number in made.items()) or "nothing"
    if code == 0 and not made:
        sys.stderr.write(f"{name}: nothing to do, all of it is up to date\n")
    else:
        words = "provisional, " * bool(said["provisional"]) + _words_of(code, said["state"])
        sys.stderr.write(f"{name}: {words} after {how_long(said['seconds'])}; made: {what}\n")
    if said["provisional"]:
        sys.stderr.write(f"  provisional masks of every frame: {said['provisional']}\n")
    if said["empty"] and not {results.MASKS, results.PROVISIONAL} & set(made):  # else the run itself has just said it
        sys.stderr.write(f"  {said['empty']}\n")
    if said["result"]:
        sys.stderr.write(f"  the result: {said['result']}\n")
    elif said["requests"] and code:
        sys.stderr.write(f"  paint on {said['requests']}/*.png, or draw with lis annotate; then the same again\n")
        if said["provisional"]:
            sys.stderr.write("  if the frames that are drawn shall be enough: the same with --placement given\n")
    elif said["to_approve"] and code:
        sys.stderr.write(f"  look at the anchors: lis annotate, or lis approve {name} --anchors; then the same again\n")


def _say_export(said: Mapping[str, Any]) -> None:
    done = f"done after {how_long(said['seconds'])}" if said["made"] else "nothing to do, all of it is up to date"
    sys.stderr.write(f"export: {done}\n  the result: {said['export']}\n")


def _words_of(code: int, state: str) -> str:
    waits = state if state == State.WAITING_FOR_APPROVAL else "waiting for scribbles"
    return {0: "done", 20: waits, 25: "stopped", 30: "failed"}.get(code, f"ended with code {code}")


def _foresee(words: list[str], *, as_json: bool) -> int:
    """What a run would do, without doing it; the exit code that can be foreseen."""
    task = luigi_command.task_of(words)
    assert isinstance(task, PublishedTask)
    stages = list(unfinished(task))
    expected = estimate(stages)
    counts = Counter(stage.stage for stage in stages)
    refine = task.clone(RefineSequence)
    found, to_approve = standing(refine), [each.frame for each in refine.unapproved()]
    code = State.WAITING.exit_code if found.waiting_for or to_approve else 0
    if as_json:
        print_json(
            {
                "sequence": getattr(task, "seq", ""),
                "state": str(found.state),
                "to_run": dict(counts),
                "seconds": None if math.isnan(expected.seconds) else round(expected.seconds, 1),
                "as_in_earlier_runs": expected.learnt,
                "waiting_for": list(found.waiting_for),
                "to_approve": to_approve,
                "exit_code": code,
            }
        )
        return code
    if not stages:
        sys.stdout.write(f"{getattr(task, 'seq', '')}: nothing to do, all of it is up to date\n")
        return code
    listed = ", ".join(f"{number} {stage}" for stage, number in counts.items())
    took = "unknown time" if math.isnan(expected.seconds) else f"about {how_long(expected.seconds)} with one worker"
    source = "as in earlier runs" if expected.learnt else "by figures from another machine"
    sys.stdout.write(f"would run: {listed}\n{took}, {source}\n")
    if found.waiting_for:
        sys.stdout.write(f"strokes are missing on frames {', '.join(str(index) for index in found.waiting_for)}\n")
    if to_approve:
        sys.stdout.write(f"nobody has approved the anchors {', '.join(map(str, to_approve))}\n")
    return code


# --- completion ------------------------------------------------------------------------------------------------------


def _complete_sequence(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    root = Path(context.params.get("data_root") or setting("data_root"))
    try:
        names = {name for dataset in list_datasets(root) for name in list_sequences(root, dataset)}
    except LisError:
        return []
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


def _completer_of(parameter: EngineParameter) -> Callable[..., list[CompletionItem]]:
    def complete(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        root = Path(context.params.get("weights_root") or setting("weights_root"))
        return [CompletionItem(name) for name in registry.names(parameter.plug, root) if name.startswith(incomplete)]

    return complete
