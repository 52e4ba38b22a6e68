"""Looks at sequences: where they are many, all processors share them."""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any, Final, TypeVar

from tasks.runtime import luigi_hooks, machine

T = TypeVar("T")
R = TypeVar("R")

MANY: Final = 40
_AT_ONCE: Final = 8

_look: Callable[[Any], Any]
"""In a process that was forked to look."""


def look_at(items: Sequence[T], look: Callable[[T], R]) -> list[R]:
    """What is seen of each, in order.

    Args:
        items: what is looked at.
        look: changes nothing; what it needs need not be pickled, what it sees has to be.
    """
    if len(items) >= MANY:
        fork = multiprocessing.get_context("fork")
        with (
            suppress(BrokenProcessPool),  # one was killed, for want of memory perhaps: a single one needs less
            ProcessPoolExecutor(machine.processors(), fork, initializer=_begin, initargs=(look,)) as pool,
        ):
            return [*pool.map(_look_once, items, chunksize=_AT_ONCE)]
    return [*map(look, items)]


def _begin(look: Callable[[Any], Any]) -> None:
    global _look  # noqa: PLW0603 - the process is there for nothing else
    _look = look
    luigi_hooks.end_with_parent()


def _look_once(item: Any) -> Any:
    return _look(item)
