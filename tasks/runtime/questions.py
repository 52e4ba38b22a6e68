"""What is found out once while one question is answered, such as whether a task is complete.

A graph asks the same of its lower tasks again and again: whether they are complete, what a snapshot says. While one
question lasts, the answers are those that were found first; the next one looks at everything anew. So a question ends
before anything is made that its answers are about.
"""

import contextvars
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

_answers: contextvars.ContextVar[dict[tuple[Any, ...], Any] | None] = contextvars.ContextVar("answers", default=None)


def once_a_question(key: tuple[Any, ...], find: Callable[[], T]) -> T:
    """What `find` finds; it is asked once for each key while one question lasts, and each time where none does."""
    known = _answers.get()
    if known is None:
        return find()
    if key not in known:
        known[key] = find()
    found: T = known[key]
    return found


@contextmanager
def one_question(answers: Mapping[tuple[Any, ...], Any] | None = None) -> Iterator[None]:
    """One question; with answers that are known beforehand: key of `once_a_question` -> what counts as found."""
    token = _answers.set({**(answers or {})})
    try:
        yield
    finally:
        _answers.reset(token)


@contextmanager
def part_of_a_question() -> Iterator[None]:
    """The question that lasts; one of its own where none does."""
    if _answers.get() is None:
        with one_question():
            yield
    else:
        yield


def ask_anew() -> None:
    """Drop what was found so far: something that it rests on has changed."""
    known = _answers.get()
    if known is not None:
        known.clear()


def end_question() -> None:
    """From here on, what is asked is looked at each time, until another question begins."""
    _answers.set(None)
