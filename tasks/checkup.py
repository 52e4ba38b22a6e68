"""`lis doctor --list`: what would break a night, one line a sequence, before it begins."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tqdm import tqdm

from stages.core.errors import LisError
from stages.core.words import how_long
from tasks import doctor
from tasks.choice import Chosen
from tasks.refine import RefineSequence
from tasks.runtime import machine
from tasks.status import Known, estimate, unfinished

_NAMED_FAULTS: Final = 3
_SECONDS_BETWEEN_WORDS: Final = 30.0
Say = Callable[[str], object]


@dataclass
class Checkup:
    """What was found in one sequence."""

    name: str
    task: RefineSequence | None = None
    """None: it cannot be taken."""
    problems: list[str] = field(default_factory=list)
    """What would break it in the night; frames that people still owe do not."""
    frames: int = 0
    size_wh: tuple[int, int] = (0, 0)
    """In pixels."""
    owed: int = 0
    """Frames that people still owe scribbles."""
    stages: int = 0
    """Still to be made."""
    seconds: float = 0.0
    """What these take with one worker; NaN: nobody knows."""
    learnt: bool = True
    """Whether that is known from earlier runs."""
    warning: str = ""
    """What is wrong with the names of its objects, and breaks nothing."""

    def __str__(self) -> str:
        """In one line."""
        if self.problems:
            return f"problem  {'; '.join(self.problems)}"
        size = f"{self.frames} frame{'s' * (self.frames > 1)}, {self.size_wh[0]}x{self.size_wh[1]}"
        warning = f"; warning: {self.warning}" if self.warning else ""
        owed = f", people owe scribbles on {self.owed}" if self.owed else ""
        left = f"{self.stages} stages, {_long(self.seconds)}" if self.stages else "finished"
        return f"ok       {size}{owed}, {left}{warning}"


def check_night(chosen: Sequence[Chosen], template: RefineSequence, say: Say) -> bool:
    """Look for what breaks a night.

    Args:
        chosen: its sequences.
        template: what is asked for, of any sequence.
        say: is told line by line.

    Returns:
        Whether nothing does; people who owe scribbles do not.
    """
    found = [_taken(one, template) for one in chosen]
    _decode([each for each in found if not each.problems], say)
    # After the decoders were forked: engines may start threads.
    engines, well = _tried(doctor.engines_of, template, any(map(_needs_segmenter, found)))
    known: Known = {}
    width = max((len(each.name) for each in found), default=0)
    for each in found:
        if not each.problems:
            _look_at_work(each, known, engines_are_well=well)
        say(f"{each.name:<{width}}  {each}")
    say("")
    say(f"engines: {engines}")
    return _sum_up(found, template, say) and well


def _needs_segmenter(found: Checkup) -> bool:
    try:
        return found.task is not None and found.task.needs_segmenter
    except (LisError, OSError):  # told where its strokes are looked at
        return True


def _taken(one: Chosen, template: RefineSequence) -> Checkup:
    if one.refused:
        return Checkup(one.name, problems=[one.refused])
    task: RefineSequence = template.clone(RefineSequence, seq=one.seq, dataset=one.dataset)
    found = Checkup(one.name, task)
    try:
        found.frames = task.snapshot.frame_count
    except (LisError, OSError) as error:
        found.problems.append(_first_line(error))
    return found


def _decode(sequences: Sequence[Checkup], say: Say) -> None:
    """Decode every frame of every sequence."""
    from stages.steps.examine_frames import decoders, examine_frames

    total, said_at = sum(each.frames for each in sequences), time.monotonic()
    is_log = not sys.stderr.isatty()
    with decoders(machine.processors()) as pool, tqdm(total=total, unit="frame", leave=False, disable=is_log) as bar:
        for each in sequences:
            assert each.task is not None
            checked = examine_frames(each.task.snapshot.frame_files, pool, bar.update)
            each.size_wh = checked.size_wh
            each.problems += checked.faults[:_NAMED_FAULTS]
            if more := [Path(fault.partition(": found")[0]).name for fault in checked.faults[_NAMED_FAULTS:]]:
                each.problems.append(f"and {len(more)} more: {', '.join(more)}")
            if is_log and time.monotonic() - said_at > _SECONDS_BETWEEN_WORDS:
                said_at = time.monotonic()
                say(f"... {each.name} is decoded")


def _look_at_work(found: Checkup, known: Known, *, engines_are_well: bool) -> None:
    """Strokes, and what is still to be made."""
    assert found.task is not None
    try:
        doctor.look_at_strokes(found.task)
        found.warning = found.task.snapshot.names[1]
        found.owed = len(found.task.snapshot.plan.requested)
        if engines_are_well:
            stages = list(unfinished(found.task))
            expected = estimate(stages, known)
            found.stages, found.seconds, found.learnt = len(stages), expected.seconds, expected.learnt
    except (LisError, OSError) as error:
        found.problems.append(_first_line(error))


def _sum_up(found: Sequence[Checkup], template: RefineSequence, say: Say) -> bool:
    well = [each for each in found if not each.problems]
    broken = len(found) - len(well)
    say(f"sequences: {len(found)}, {sum(each.frames for each in found):,} frames; problems in {broken or 'none'}")
    if waiting := [each for each in well if each.owed]:
        say(f"people owe: scribbles on {sum(each.owed for each in waiting)} frames of {len(waiting)} sequences")
    now, later = ([each for each in well if bool(each.owed) == owed] for owed in (False, True))
    tonight, then = (sum(each.seconds for each in part) for part in (now, later))
    source = "as in earlier runs" if all(each.learnt for each in well) else "partly by figures from another machine"
    after = f", and {_long(then)} more once all scribbles are there" if later else ""
    say(f"time: {_long(tonight)} with one worker{after}, {source}; reports come on top")
    pixels = sum(each.frames * each.size_wh[0] * each.size_wh[1] for each in well if each.stages)
    disk, has_room = _tried(doctor.room_for, template, pixels)
    say(f"disk: {disk}")
    say(f"memory: {_memory(template)}")
    return has_room and not broken


def _memory(template: RefineSequence) -> str:
    share, most = machine.memory_to_share_mib(), max(task.engine_memory_mib() for task in doctor.engine_tasks(template))
    rooms = max(1, share // most)
    claims = (
        f"a worker claims up to {most:,} MiB (for 480p): room for {rooms} worker{'s' * (rooms > 1)} in {share:,} MiB"
    )
    return f"{claims}, and {machine.processors()} processors"


def _tried(check: Callable[..., str], *values: object) -> tuple[str, bool]:
    """What a check says, and whether all is well."""
    try:
        return check(*values), True
    except (LisError, OSError) as error:
        return f"problem: {_first_line(error)}", False


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _long(seconds: float) -> str:
    return "an unknown time" if math.isnan(seconds) else f"about {how_long(seconds)}"
