"""The next piece of work is made ready while somebody else, a GPU, works on the one before."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar, overload

T = TypeVar("T")
_END: Final = object()
_LATELY: Final = 4
"""Items that whoever reads from both ends by turns was given before it comes back to a neighbour."""
_MOST_WAITING: Final = 2


def made_ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items; each is made in a thread, one before it is asked for. The thread ends with them."""
    making = iter(items)
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, making, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, making, _END)
            yield item  # type: ignore[misc]  # it is no end


@contextmanager
def neighbours_ahead(items: Sequence[T], among: range) -> Iterator[Sequence[T]]:
    """The same sequence, for somebody who goes from neighbour to neighbour, either way or from both ends by turns.

    Args:
        items: made when asked for; only ever asked by one thread.
        among: what may be made before it is asked for.
    """
    with ThreadPoolExecutor(1) as thread:
        yield _NeighboursAhead(items, among, thread)


class _NeighboursAhead(Sequence[T]):
    """What lies beside an item and was not asked for lately comes next: it is made meanwhile."""

    def __init__(self, items: Sequence[T], among: range, thread: ThreadPoolExecutor) -> None:
        self._items, self._among, self._thread = items, among, thread
        self._lately: deque[int] = deque(maxlen=_LATELY)
        self._waiting: dict[int, Future[T]] = {}

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return self._thread.submit(self._items.__getitem__, index).result()
        asked = self._waiting.pop(index, None) or self._thread.submit(self._items.__getitem__, index)
        if index not in self._lately:
            self._lately.append(index)
            for near in (index - 1, index + 1):
                if near in self._among and near not in self._lately and near not in self._waiting:
                    self._waiting[near] = self._thread.submit(self._items.__getitem__, near)
            for near in list(self._waiting)[:-_MOST_WAITING]:
                self._waiting.pop(near).cancel()
        return asked.result()
