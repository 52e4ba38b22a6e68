"""What a page is told of runs, and of what others write."""

import asyncio
import fcntl
import json

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from stages.formats import progress
from stages.formats.draft_json import Draft, DraftKind
from stages.formats.drafts import write_draft
from stages.formats.progress import Event
from stages.formats.review_json import Approval, Review, change_review
from tasks.page.following import Follower, Watched
from tasks.page.runs import Runs
from tasks.runtime import locks
from tests.conftest import Project
from tests.page.asking import ProjectPage, sequences_of

TOY = Watched("toy", "set", "001")
WATCH = json.dumps({"watch": [{"sequence": "toy", "dataset": "set", "set": "001"}]})


def test_what_a_run_says_is_told(project: Project) -> None:
    follower, root = Follower(sequences_of(project), Runs()), project.root
    first = follower.begin(TOY)
    assert (first["event"], first["running"], first["exit"]) == ("run", False, None)
    assert follower.look([TOY]) == []
    root.mkdir(parents=True)
    progress.say_plan(root, "r", ["a", "b"], pid=7, host="here")
    progress.say_event(root, "r", "a", Event.FAILED, message="no room")
    progress.say_end(root, "r", 30)
    ((about, news),) = follower.look([TOY])
    assert about == TOY and (news["running"], news["exit"], news["failure"]) == (False, 30, "no room")
    assert follower.look([TOY]) == []


def test_who_works_is_told(project: Project) -> None:
    follower, root = Follower(sequences_of(project), Runs()), project.root
    follower.begin(TOY)
    root.mkdir(parents=True)
    with (root / locks.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        progress.say_plan(root, "r", ["a", "b"], pid=7, host="here")
        progress.say_event(root, "r", "a", Event.DONE)
        progress.say_event(root, "r", "b", Event.START)
        (_, news), (_, page_run) = follower.look([TOY])
        assert (page_run["event"], page_run["state"]) == ("page_run", "running"), "also of one that no page has started"
        assert (news["running"], news["percent"], news["pid"], news["host"]) == (True, 50, 7, "here")
        assert [*news["tasks"]] == ["b"] and news["exit"] is None
    (_, news), (_, page_run) = follower.look([TOY])
    assert page_run["state"] == "idle"
    assert news["running"] is False, "a run that was killed says nothing itself"


def test_what_others_write_is_told_at_every_fourth_look(project: Project) -> None:
    follower = Follower(sequences_of(project), Runs())
    follower.begin(TOY)
    write_draft(project.scribble_file, Draft("toy", "001", 3, DraftKind.EMPTY), "")
    change_review(
        project.scribble_file, "toy", lambda _: Review({3: Approval("0" * 64, "anna", "2030-01-31T12:00:00Z")})
    )
    project.scribble(3)
    news = [follower.look([TOY]) for _ in range(8)]
    assert [len(each) for each in news] == [0, 0, 0, 1, 0, 0, 0, 0]
    ((_, changed),) = news[3]
    assert changed == {
        "event": "changed",
        "sequence": "toy",
        "dataset": "set",
        "set": "001",
        "what": ["drafts", "set", "review"],
    }


class TestEvents(ProjectPage):
    @pytest.fixture(autouse=True)
    def _clip(self, project: Project) -> None:
        self.project = project

    async def listen(self, **headers: str | None) -> WebSocketClientConnection:
        said = {"Cookie": self.cookie, "Origin": self.origin, **headers}
        address = f"ws://127.0.0.1:{self.get_http_port()}/api/events"
        return await websocket_connect(
            HTTPRequest(address, headers={name: value for name, value in said.items() if value is not None})
        )

    def test_a_page_is_told(self) -> None:
        async def talk() -> None:
            wire = await self.listen()
            await wire.write_message(WATCH)
            assert json.loads(str(await wire.read_message()))["running"] is False
            self.project.root.mkdir(parents=True)
            progress.say_plan(self.project.root, "r", ["a"], pid=7, host="here")
            progress.say_end(self.project.root, "r", 20)
            told = json.loads(str(await asyncio.wait_for(wire.read_message(), 5)))
            assert (told["event"], told["exit"], told["sequence"]) == ("run", 20, "toy")
            write_draft(self.project.scribble_file, Draft("toy", "001", 3, DraftKind.EMPTY), "")
            told = json.loads(str(await asyncio.wait_for(wire.read_message(), 5)))
            assert (told["event"], told["what"]) == ("changed", ["drafts"])
            wire.close()
            while self.page.listeners:  # type: ignore[attr-defined]
                await asyncio.sleep(0.01)

        self.io_loop.run_sync(talk, timeout=20)

    def test_where_others_are_is_a_hint(self) -> None:
        here = {"sequence": "toy", "dataset": "set", "set": "001", "frame": 7, "name": "<b>anna</b>"}

        async def talk() -> None:
            anna, berta = await self.listen(), await self.listen()
            for wire in (anna, berta):
                await wire.write_message(WATCH)
                assert json.loads(str(await wire.read_message()))["event"] == "run"
            await anna.write_message(json.dumps({"here": {**here, "set": "002"}}))
            await anna.write_message(json.dumps({"here": here}))
            assert json.loads(str(await berta.read_message())) == {"event": "here", **here}
            await anna.write_message("x")
            assert "error" in json.loads(str(await anna.read_message())), "it is not told what it has said itself"
            for wire in (anna, berta):
                wire.close()

        self.io_loop.run_sync(talk, timeout=20)

    def test_messages_that_are_none_are_told(self) -> None:
        other = [{"sequence": "dog", "dataset": "", "set": "001"}, {"sequence": "../x", "dataset": "", "set": ""}]
        messages: list[str | bytes] = ["", "{", "[]", "7", "{}", '{"watch": 7}', '{"watch": [7]}', '{"watch": [{}]}']
        messages += [
            "[" * 5000,
            b"\xff",
            '{"here": 7}',
            json.dumps({"here": {**other[0], "frame": "1", "name": "a"}}),
            json.dumps({"watch": [other[0]] * 51}),
        ]
        messages += [json.dumps({"watch": [each]}) for each in other]

        async def talk() -> None:
            wire = await self.listen()
            for message in messages:
                await wire.write_message(message, binary=isinstance(message, bytes))
                assert "found" in json.loads(str(await wire.read_message()))["error"]
            await wire.write_message("x" * (1 << 16) + "x")
            assert await wire.read_message() is None, "too long: it is hung up on"
            wire.close()

        self.io_loop.run_sync(talk, timeout=20)

    def test_foreigners_are_not_let_in(self) -> None:
        refused: list[tuple[dict[str, str | None], int]] = [
            ({"Origin": "http://evil.test"}, 403),
            ({"Origin": None}, 403),
            ({"Cookie": None}, 401),
            ({"Host": f"evil.test:{self.get_http_port()}"}, 421),
            # Tornado's own check compares Origin with Host alone: after rebinding they agree.
            ({"Host": f"evil.test:{self.get_http_port()}", "Origin": f"http://evil.test:{self.get_http_port()}"}, 421),
        ]

        async def knock() -> None:
            for headers, status in refused:
                with pytest.raises(HTTPClientError) as error:
                    await self.listen(**headers)
                assert error.value.code == status, headers

        self.io_loop.run_sync(knock, timeout=20)
