"""What has to hold after a fault, and after the run that follows it."""

from collections.abc import Iterator
from pathlib import Path

from stages.steps.verify import verify_results
from tests.faults.runs import Ended, run, wait_for_orphans
from tests.faults.scene import RUN, Case

CALM_CODES = (0, 20, 25, 30, 130, -2, -15, -9)
"""What a run may end with that was refused, stopped or killed; anything else is a fault of its own."""


def after_fault(case: Case, before: dict[str, bytes], expected: dict[str, bytes], ended: Ended) -> Iterator[str]:
    """What is wrong right after a run that met a fault: nobody may have to clean up behind it."""
    if ended.code == -1000:
        yield "hangs"
    elif ended.code not in CALM_CODES:
        yield f"ends with {ended.code}"
    if "Traceback" in ended.output:
        yield "stack trace"
    if left := wait_for_orphans(case):
        yield f"{len(left)} processes outlive it"
    if ended.code == 0 and case.outcome() != expected:
        yield "ends with 0, and something is missing"
    drawn = {name: content for name, content in before.items() if "requests" in name and "strokes" in name}
    now = case.outcome()
    if any(now.get(name) != content for name, content in drawn.items()):
        yield "a painted picture changed"
    yield from damage(case)


def after_recovery(case: Case, expected: dict[str, bytes], ended: Ended) -> Iterator[str]:
    """What is wrong after the undisturbed run that follows."""
    if ended.code != 0:
        yield f"the next run ends with {ended.code}"
    yield from (f"afterwards {name}" for name in differences(case.outcome(), expected))
    if litter := case.litter():
        yield f"litter: {', '.join(Path(each).name for each in litter)}"
    if left := wait_for_orphans(case):
        yield f"{len(left)} processes outlive the next run"
    yield from damage(case)


def damage(case: Case) -> Iterator[str]:
    """What `lis verify` would call damage."""
    for finding in verify_results(case.root, lambda _: None):
        if finding.fault.is_damage:
            yield f"{finding.fault}: {finding.path.relative_to(case.folder)}"


def differences(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """In words."""
    missing = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    more = [f"{name} is too much" for name in sorted(found.keys() - expected.keys())]
    other = [f"{name} differs" for name in sorted(found.keys() & expected.keys()) if found[name] != expected[name]]
    return [*missing, *more, *other]


def recovered(case: Case, expected: dict[str, bytes]) -> list[str]:
    """Run again, undisturbed, and say what is wrong."""
    return [*after_recovery(case, expected, run(case, RUN))]
