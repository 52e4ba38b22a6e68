"""The worker's other side: a process that starts when the first preview is wanted, and that no other request waits for.

One question is with the worker, one waits, and a newer one takes the place of that. A worker that does not answer is
killed; one that has died is started again with the next question, unless it has died too often lately.
"""

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from stages.core.errors import LisError

COMMAND: Final = (sys.executable, "-m", "tasks.page.worker")
_LONGEST_LINE: Final = 1 << 20
Answer = tuple[dict[str, Any], bytes]


class NoPreviewError(LisError):
    """There is none, and the sentence says why."""


class SupersededError(LisError):
    """Somebody has asked for another one since."""


class Condition(StrEnum):
    """How a worker is."""

    OFF = "off"
    """It is started when it is wanted."""
    STARTING = "starting"
    READY = "ready"
    """It has answered."""
    GONE = "gone"
    """It has died too often."""


@dataclass(frozen=True)
class Limits:
    """How long a worker may take, in seconds, and how often it may die."""

    start_s: float = 120
    """Until the first answer of a new process."""
    answer_s: float = 30
    idle_s: float = 600
    """It is ended when nobody has asked for so long."""
    deaths: int = 5
    within_s: float = 600


LIMITS: Final = Limits()


@dataclass(frozen=True)
class _Question:
    order: Mapping[str, Any]
    answer: "asyncio.Future[Answer]"

    def reply(self, answer: Answer) -> None:
        """Whoever asked may have gone."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def refuse(self, error: LisError) -> None:
        """The same, if there is none."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Previewer:
    """A worker, or none."""

    def __init__(
        self,
        off: str = "",
        *,
        command: Sequence[str] = COMMAND,
        limits: Limits = LIMITS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is started yet.

        Args:
            off: why nothing ever will be; empty: it will.
            command: what starts a worker.
            limits: see there.
            clock: tells seconds.
        """
        self._off, self._command, self._limits, self._clock = off, command, limits, clock
        self._deaths: deque[float] = deque()
        self._condition = Condition.OFF
        self._process: Process | None = None
        self._answering: _Question | None = None
        self._waiting: _Question | None = None
        self._asked = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self.engine = ""
        """The last one that was asked for."""

    @property
    def condition(self) -> Condition:
        """How it is now."""
        return Condition.GONE if self._is_gone else self._condition

    @property
    def why(self) -> str:
        """Why there is no preview; empty if there may be one."""
        if self._is_gone:
            return (
                f"no preview: its process ended {len(self._deaths)} times within {self._limits.within_s / 60:g} "
                "minutes; why it did stands where `lis annotate` runs. Everything else works"
            )
        return self._off

    @property
    def _is_gone(self) -> bool:
        while self._deaths and self._clock() - self._deaths[0] >= self._limits.within_s:
            self._deaths.popleft()
        return len(self._deaths) > self._limits.deaths

    async def ask(self, order: Mapping[str, Any]) -> Answer:
        """The worker's answer, and the bytes that follow it.

        Raises:
            NoPreviewError: there is no worker, or it cannot do this, or has ended.
            SupersededError: another question came before it was this one's turn.
        """
        if self.why:
            raise NoPreviewError(self.why)
        return await self._put(order)

    def warm(self, order: Mapping[str, Any]) -> None:
        """Make an engine ready, if nothing waits; what is wrong with it is told to whoever asks."""
        if not self.why and self._waiting is None:
            self._put(order).add_done_callback(lambda answer: answer.cancelled() or answer.exception())

    def _put(self, order: Mapping[str, Any]) -> "asyncio.Future[Answer]":
        """A question, in the place of one that waits."""
        if self._waiting is not None:
            self._waiting.refuse(SupersededError("found a newer question, which is answered instead"))
        self.engine = order["engine"]["name"]
        self._waiting = _Question(order, asyncio.get_running_loop().create_future())
        self._asked.set()
        if self._condition == Condition.OFF:
            self._condition = Condition.STARTING
        if self._serving is None or self._serving.done():
            self._serving = asyncio.ensure_future(self._serve())
        return self._waiting.answer

    async def end(self) -> None:
        """End the worker; nothing is started again."""
        self._off = self._off or "no preview: the server ends"
        if self._serving is not None:
            self._serving.cancel()
            with suppress(asyncio.CancelledError):
                await self._serving

    async def _serve(self) -> None:
        try:
            while True:
                question = self._answering = await self._next()
                try:
                    question.reply(await self._answered(question.order))
                except NoPreviewError as error:
                    question.refuse(error)
        finally:
            for left in filter(None, (self._answering, self._waiting)):
                left.refuse(NoPreviewError(self.why or "no preview: a fault of the program"))
            await self._kill()

    async def _next(self) -> _Question:
        """What is asked next."""
        try:
            await asyncio.wait_for(self._asked.wait(), self._limits.idle_s)
        except TimeoutError:
            await self._kill()
            await self._asked.wait()
        self._asked.clear()
        question, self._waiting = self._waiting, None
        assert question is not None
        return question

    async def _answered(self, order: Mapping[str, Any]) -> Answer:
        if self._process is not None and self._process.returncode is not None:
            await self._died()  # while nobody asked
            if self.why:
                raise NoPreviewError(self.why)
        limits, is_ready = self._limits, self._condition == Condition.READY
        try:
            async with asyncio.timeout(limits.answer_s if is_ready else limits.start_s):
                process = self._process or await self._started()
                assert process.stdin is not None
                line = await asyncio.to_thread(json.dumps, order)
                process.stdin.write(line.encode() + b"\n")
                await process.stdin.drain()
                answer = await _read(process)
        except (TimeoutError, EOFError, OSError, ValueError) as error:
            await self._died()
            what = "did not answer" if isinstance(error, TimeoutError) else "ended"
            raise NoPreviewError(
                self.why or f"no preview this time: its process {what}; draw on, or ask again"
            ) from None
        self._condition = Condition.READY
        if "error" in answer[0]:
            raise NoPreviewError(f"no preview: {answer[0]['error']}")
        return answer

    async def _started(self) -> Process:
        self._condition = Condition.STARTING
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, limit=_LONGEST_LINE
        )
        await _read(process)
        return process

    async def _died(self) -> None:
        self._deaths.append(self._clock())
        await self._kill()

    async def _kill(self) -> None:
        process, self._process, self._condition = self._process, None, Condition.OFF
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _read(process: Process) -> Answer:
    """What a worker says.

    Raises:
        EOFError: it has ended.
        ValueError: it says something else.
    """
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise EOFError
    found = json.loads(line)
    return found, await process.stdout.readexactly(found.pop("bytes"))
