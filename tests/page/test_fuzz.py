"""Requests that nobody means well with, by the hundred: each is answered, by a sentence, and touches nothing else."""

import gzip
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tornado.httpclient import HTTPResponse
from tornado.simple_httpclient import HTTPStreamClosedError

from stages.formats.page_log import PAGE_LOG
from stages.steps.page.masks import packed
from tests.conftest import Project, copy_of
from tests.page.asking import TOKEN, ProjectPage
from tests.page.test_reading import TRAVERSALS

METHODS = ("GET", "GET", "PUT", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "X")
PATHS = (
    "/api/session",
    "/api/inbox",
    "/api/events",
    "/api/seq/{name}",
    "/api/seq/{name}/frame/{index}",
    "/api/seq/{name}/mask/{index}",
    "/api/seq/{name}/doubt",
    "/api/seq/{name}/objects",
    "/api/seq/{name}/set/{set}/review",
    "/api/seq/{name}/run",
    "/api/seq/{name}/anchors",
    "/api/seq/{name}/ahead",
    "/api/seq/{name}/export",
    "/api/exports",
    *["/api/seq/{name}/set/{set}/draft/{index}"] * 3,
    "/api/seq/{name}/set/{set}/draft/{index}/mask",
    "/api/seq/{name}/set/{set}/draft/{index}/state",
    "/api/seq/{name}/set/{set}/preview/{index}",
    "/api/seq/{name}/frame/{index}/box",
    "/api/preview",
    "/",
    "/{name}",
    "/favicon.ico",
    "/static/{name}",
    "/api/seq/{name}/{set}/{index}",
)
NAMES = (
    *["toy"] * 8,
    *TRAVERSALS,
    "%F0%9F%98%80",
    "x" * 300,
    "x" * 5000,
    "tr%C3%A4um",
    "%3Cscript%3E",
    "a'%22b",
    "-",
    "%20",
    "",
)
SETS = (*["001"] * 6, *TRAVERSALS, "objects", "001.drafts", "x.review", "002", "%E2%80%AE", "x" * 300)
INDICES = (
    *"0123",
    "3",
    "11",
    "12",
    "-1",
    "00003",
    "9999999",
    "99999999999",
    "1.5",
    "3%00",
    "%2e%2e",
    "x",
    "3/..",
    "0x3",
)
QUERIES = (
    "",
    "",
    "dataset=",
    "dataset=set",
    "dataset={name}",
    "stage={set}",
    "stage=result",
    "stage=coarse",
    "w={index}",
)
QUERIES += (
    "w=64",
    "page={index}",
    "name={name}",
    "detail={index}",
    "detail=1",
    "set={set}",
    "author={name}",
    "base={name}",
    "v=1&w=64&w=x",
    "%ff=%ff",
)
VALUES: tuple[Any, ...] = (
    None, True, 0, 1, -1, 254, 255, 2**63, 10**400, 1.5, 1e308, "", "x", "../../x", "\u0000", "\ud800", "x" * 5000, [],
    [[]], [0.5, 0.5], [[0.5, 0.5]], [[0.5, None]], {}, {"id": 1}, "strokes", "mask", "empty", "ready", "draft",
    "conflict", TOKEN,
)  # fmt: skip
OPTIONS = ("size", "renumber", "mots_class", "tolerance", "max_doubt", "for_correction", "resolution_name", "source")
KEYS = ("token", "state", "kind", "lines", "base", "corrects", "absent", "from_boxes", "author", "schema", "sequence")
KEYS += ("object", "box")
KEYS += ("objects", "id", "name", "class", "path", "object_id", "start_time", "end_time", "watch", "mask", "revision")
KEYS += ("stage", "approve", "withdraw", "of", "by")


class Fuzz(ProjectPage):
    """A page over a labelled clip, and a dice."""

    @pytest.fixture(autouse=True)
    def _labelled(self, labelled_once: Project, tmp_path: Path) -> None:
        self.project = copy_of(labelled_once, tmp_path / "project")

    def value(self, dice: random.Random, depth: int = 0) -> Any:
        kind = dice.random()
        if depth > 3 or kind < 0.5:
            return dice.choice(VALUES)
        if kind < 0.7:
            return [self.value(dice, depth + 1) for _ in range(dice.randrange(4))]
        return {dice.choice(KEYS): self.value(dice, depth + 1) for _ in range(dice.randrange(5))}

    def body(self, dice: random.Random) -> bytes | None:
        line = {"object_id": dice.choice(VALUES), "path": dice.choice(VALUES), "start_time": 0, "end_time": 1}
        good = {"object_id": 1, "path": [[0.5, 0.5]], "start_time": 0, "end_time": 1}
        text = json.dumps(self.value(dice)).encode()
        return dice.choice(
            [
                None,
                b"",
                text,
                text,
                text[: dice.randrange(len(text))],
                json.dumps({"kind": "strokes", "lines": [good], "author": "anna"}).encode(),
                json.dumps({"kind": "strokes", "lines": [line]}).encode(),
                json.dumps({"kind": "strokes", "lines": [good], dice.choice(KEYS): dice.choice(VALUES)}).encode(),
                json.dumps({"schema": 1, "sequence": "toy", "objects": [self.value(dice, 3)]}).encode(),
                json.dumps({"object": 1, "lines": [good], dice.choice(KEYS): dice.choice(VALUES)}).encode(),
                json.dumps({"object_id": 1, "box": [0, 0, 1, 1], dice.choice(KEYS): dice.choice(VALUES)}).encode(),
                json.dumps({"object_id": 1, "box": [dice.choice(VALUES) for _ in range(4)]}).encode(),
                json.dumps({"state": dice.choice(VALUES)}).encode(),
                json.dumps({"format": dice.choice(["png", "coco", "../x"]), "options": self.value(dice)}).encode(),
                json.dumps({"format": "davis", "options": {dice.choice(OPTIONS): dice.choice(VALUES)}}).encode(),
                json.dumps({"stage": "result", "withdraw": [[0, 3]], dice.choice(KEYS): dice.choice(VALUES)}).encode(),
                json.dumps({"stage": "anchor", "approve": dice.choice(VALUES), "of": dice.choice(VALUES)}).encode(),
                packed(np.full((96, 128), dice.randrange(256), np.uint8)),
                gzip.compress(bytes(1 << 22), 1),
                dice.randbytes(dice.randrange(2000)),
                b"[" * 100_000,
                b" " * ((1 << 20) + dice.randrange(2)),
            ]
        )

    def throw(self, dice: random.Random) -> tuple[str, HTTPResponse | None]:
        fill = {"name": "toy", "set": "001", "index": dice.choice("0123")}
        if dice.random() < 0.6:
            fill = {"name": dice.choice(NAMES), "set": dice.choice(SETS), "index": dice.choice(INDICES)}
        path = f"{dice.choice(PATHS).format(**fill)}?{dice.choice(QUERIES).format(**fill)}"
        method = dice.choice(METHODS)
        body = None if method in ("GET", "HEAD") else self.body(dice)
        headers: dict[str, str | None] = {"Origin": self.origin}
        wild = dice.choice(
            ["If_Match", "If_None_Match", "Content_Type", "Cookie", "Origin", "Host", "Range", "Upgrade"]
        )
        if dice.random() < 0.3:
            headers[wild] = dice.choice([None, "", "*", '"1-0"', "x" * 3000, "é", "lis_1=1", "bytes=0-1", "websocket"])
        elif dice.random() < 0.7:
            headers["If_None_Match"] = "*"
        try:
            return f"{method} {path} {headers}", self.ask(path, method, body, **headers)
        except HTTPStreamClosedError:  # it was hung up on while it was still sending
            return f"{method} {path} {headers}", None

    def fuzz(self, count: int, seed: int) -> None:
        dice = random.Random(seed)
        before = self.files()
        codes: dict[int, int] = {}
        good = {"kind": "empty", "author": "anna"}
        assert self.ask("/api/seq/toy/set/001/draft/0", "PUT", good, If_None_Match="*").code == 200
        for _ in range(count):
            what, answer = self.throw(dice)
            if answer is None:
                continue
            codes[answer.code] = codes.get(answer.code, 0) + 1
            assert answer.code < 500, (what, answer.body)
            if answer.code >= 400:
                assert b"Traceback" not in answer.body and b'File "' not in answer.body, what
        assert self.ask("/api/inbox").code == 200, "it still serves"
        assert {200, 400, 404, 405} < codes.keys(), codes
        after = self.files()
        mine = str(self.project.scribble_file.parent)
        changed = {path for path in after if after[path] != before.get(path)} | (before.keys() - after.keys())
        changed.discard(str(self.project.root / PAGE_LOG))
        assert changed and not [path for path in changed if not path.startswith(mine)], changed
        allowed = ("001.drafts/", "001.review.json", ".001.review.json.lock", "objects.json", ".lock")
        others = [path for path in changed if not path[len(mine) + 1 :].startswith(allowed)]
        assert not others

    def files(self) -> dict[str, bytes]:
        """What lies around, in the project and in the folder above it; not what looks keep of what they have seen."""
        folder = self.project.folder.parent
        paths = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
        return {str(path): path.read_bytes() for path in paths if path.name not in (".glance.json", ".digests.json")}


class TestFuzz(Fuzz):
    def test_hundreds(self) -> None:
        self.fuzz(400, 1)

    @pytest.mark.slow
    def test_thousands(self) -> None:
        self.fuzz(5000, 2)
