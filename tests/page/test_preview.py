"""Who asks for previews is answered, or told why not, whatever becomes of the process that makes them."""

import asyncio
import gzip
import os
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tasks.page.preview import Condition, Limits, NoPreviewError, Previewer, SupersededError
from tests.page.asking import STUB


def order(engine: str = "echoes", **more: Any) -> dict[str, Any]:
    return {"engine": {"name": engine}, **more}


def tried(
    scene: Callable[[Previewer], Awaitable[None]],
    *words: str,
    clock: Callable[[], float] = time.monotonic,
    **changes: Any,
) -> None:
    """Play a scene with a worker that is a stub."""

    async def play() -> None:
        limits = Limits(**{"start_s": 10, "answer_s": 10, "idle_s": 10, **changes})
        previewer = Previewer(command=[*STUB, *words], limits=limits, clock=clock)
        try:
            await scene(previewer)
        finally:
            await previewer.end()
        assert previewer._process is None

    asyncio.run(play())


def test_a_worker_is_started_when_it_is_wanted_and_stays() -> None:
    async def scene(previewer: Previewer) -> None:
        assert previewer.condition == Condition.OFF
        previewer.warm(order())
        assert previewer.condition == Condition.STARTING
        found, mask = await previewer.ask(order(said="x" * 500_000))
        assert (found["said"], gzip.decompress(mask)) == ("x" * 500_000, b"mask")
        assert (previewer.condition, previewer.engine, previewer.why) == (Condition.READY, "echoes", "")

    tried(scene)


def test_of_those_who_wait_the_newest_wins() -> None:
    async def scene(previewer: Previewer) -> None:
        asked = [asyncio.create_task(previewer.ask(order("slow", said=number))) for number in range(5)]
        while previewer._answering is None:
            await asyncio.sleep(0.001)
        asked += [asyncio.create_task(previewer.ask(order("slow", said=number))) for number in range(5, 10)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [answer[0]["said"] for answer in answers if isinstance(answer, tuple)] == [4, 9]
        assert sum(isinstance(answer, SupersededError) for answer in answers) == 8
        waiting = [asyncio.create_task(previewer.ask(order("slow"))) for _ in range(2)]
        await asyncio.sleep(0)
        previewer.warm(order())
        assert await waiting[1], "to warm an engine up is no reason to send somebody away"

    tried(scene)


@pytest.mark.parametrize("engine", ["dies", "sleeps", "babbles"])
def test_a_worker_that_fails_is_replaced(engine: str) -> None:
    async def scene(previewer: Previewer) -> None:
        await previewer.ask(order())
        with pytest.raises(NoPreviewError, match="did not answer" if engine == "sleeps" else "ended"):
            await previewer.ask(order(engine))
        assert (await previewer.ask(order()))[0]["number"] == 0

    tried(scene, answer_s=0.3)


def test_a_worker_that_was_killed_while_nobody_asked_is_not_missed() -> None:
    async def scene(previewer: Previewer) -> None:
        await previewer.ask(order())
        assert previewer._process is not None
        os.kill(previewer._process.pid, signal.SIGKILL)
        await previewer._process.wait()
        assert (await previewer.ask(order()))[0]["number"] == 0

    tried(scene)


def test_one_that_dies_again_and_again_is_given_up_for_a_while() -> None:
    now = [0.0]

    async def scene(previewer: Previewer) -> None:
        for _ in range(6):
            assert previewer.condition == Condition.OFF
            with pytest.raises(NoPreviewError):
                await previewer.ask(order())
        assert previewer.condition == Condition.GONE and "6 times within 10 minutes" in previewer.why
        with pytest.raises(NoPreviewError, match="6 times"):
            await previewer.ask(order())
        previewer.warm(order())
        assert previewer._process is None
        now[0] = 601
        assert previewer.condition == Condition.OFF

    tried(scene, "stillborn", clock=lambda: now[0])


def test_what_an_engine_refuses_is_told_and_nobody_dies_of_it() -> None:
    async def scene(previewer: Previewer) -> None:
        with pytest.raises(NoPreviewError, match="found no weights"):
            await previewer.ask(order("refuses"))
        assert (await previewer.ask(order()))[0]["number"] == 1

    tried(scene)


def test_it_ends_when_nobody_has_asked_for_long() -> None:
    async def scene(previewer: Previewer) -> None:
        for _ in range(2):
            assert (await previewer.ask(order()))[0]["number"] == 0
            process = previewer._process
            assert process is not None
            await process.wait()
            assert previewer.condition == Condition.OFF

    tried(scene, idle_s=0.05)


def test_who_waits_when_the_server_ends_is_told() -> None:
    async def scene(previewer: Previewer) -> None:
        asked = [asyncio.create_task(previewer.ask(order("sleeps"))) for _ in range(2)]
        await asyncio.sleep(0.1)
        asked.append(asyncio.create_task(previewer.ask(order())))
        await asyncio.sleep(0)
        await previewer.end()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(answer) for answer in answers] == [SupersededError, NoPreviewError, NoPreviewError]
        with pytest.raises(NoPreviewError, match="the server ends"):
            await previewer.ask(order())

    tried(scene)


def test_none_at_all() -> None:
    async def scene() -> None:
        previewer = Previewer("--no-preview")
        previewer.warm(order())
        with pytest.raises(NoPreviewError, match="--no-preview"):
            await previewer.ask(order())
        assert (previewer.condition, previewer.why) == (Condition.OFF, "--no-preview")
        await previewer.end()

    asyncio.run(scene())
