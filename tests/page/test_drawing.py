"""What the page writes: drafts and objects, by two people at once, and by people who mean harm."""

import errno
import gzip
import json
from typing import Any

import numpy as np
import pytest

from stages.formats import files
from stages.formats.drafts import draft_file, read_draft
from stages.formats.given_masks import masks_folder
from stages.formats.masks import read_mask, write_mask
from stages.formats.scribbles import merge, read_scribbles, write_scribbles
from stages.steps.page.masks import packed
from tasks.page.handlers import Page
from tests.conftest import Project
from tests.page.asking import ProjectPage, unpacked
from tests.page.test_reading import TRAVERSALS

LINE = {"object_id": 1, "path": [[0.25, 0.5], [0.5, 0.5]], "start_time": 0, "end_time": 900}
NEW = {"If_None_Match": "*"}
DRAFT = "/api/seq/toy/set/001/draft/3"


class Draws(ProjectPage):
    """A page over a toy clip that nobody has labelled."""

    @pytest.fixture(autouse=True)
    def _clip(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        self.project, self.monkeypatch = project, monkeypatch

    def put(self, body: Any, path: str = DRAFT, **headers: str) -> dict[str, Any]:
        answer = self.ask(path, "PUT", body, **headers)
        assert answer.code == 200, answer.body
        found = json.loads(answer.body)
        assert answer.headers["ETag"] == f'"{found["tag"]}"'
        return found

    def everything(self) -> dict[str, bytes]:
        """What lies in the project, hidden locks aside."""
        paths = (path for path in self.project.folder.rglob("*") if path.is_file() and path.name != ".lock")
        return {str(path): path.read_bytes() for path in paths}


class TestDrafts(Draws):
    def test_a_draft_is_written_and_read(self) -> None:
        nothing = {"base": None, "kind": "strokes", "lines": [], "corrects": "", "absent": [], "from_boxes": []}
        assert json.loads(self.ask(DRAFT).body) == {"tag": "", "draft": None, "in_set": nothing}
        first = self.put({"kind": "strokes", "lines": [LINE], "author": "anna"}, **NEW)
        assert json.loads(self.ask(DRAFT).body) == {**first, "in_set": nothing}
        said = first["draft"]
        assert (said["revision"], said["state"], said["lines"], said["author"]) == (1, "draft", [LINE], "anna")
        second = self.put({"kind": "empty"}, If_Match=f'"{first["tag"]}"')
        assert (second["draft"]["revision"], second["draft"]["lines"]) == (2, [])
        on_disk = read_draft(self.project.scribble_file, 3)
        assert on_disk is not None and on_disk.tag == second["tag"]

    def test_drawing_goes_on_from_what_the_set_says(self) -> None:
        self.project.scribble(3)
        found = json.loads(self.ask(DRAFT).body)["in_set"]
        assert len(found["base"]) == 64 and [line["object_id"] for line in found["lines"]] == [1, 2]
        assert found["kind"] == "strokes"
        assert self.put({"kind": "strokes", "lines": [LINE]}, **NEW)["draft"]["base"] == found["base"]

    def test_nobody_writes_over_what_she_has_not_seen(self) -> None:
        first = self.put({"kind": "strokes", "lines": [LINE]}, **NEW)
        seen = f'"{first["tag"]}"'
        theirs = self.put({"kind": "empty", "author": "berta"}, If_Match=seen)
        writes: list[tuple[str, str, Any]] = [
            (DRAFT, "PUT", {"kind": "strokes", "lines": []}),
            (DRAFT, "DELETE", None),
            (f"{DRAFT}/state", "POST", {"state": "ready"}),
            (f"{DRAFT}/mask", "PUT", packed(np.ones((96, 128), np.uint8))),
        ]
        for path, method, body in writes:
            for headers in ({"If_Match": seen}, NEW):
                answer = self.ask(path, method, body, **headers)
                self.error_of(answer, 412)
                assert {name: json.loads(answer.body)[name] for name in ("tag", "draft")} == theirs
            for headers in (
                {},
                {"If_Match": "*"},
                {"If_Match": theirs["tag"]},
                {"If_None_Match": seen},
                {"If_Match": '"'},
            ):
                self.error_of(self.ask(path, method, body, **headers), 428)
        assert json.loads(self.ask(DRAFT).body)["draft"] == theirs["draft"]
        assert self.ask(DRAFT, "DELETE", If_Match=f'"{theirs["tag"]}"').code == 200
        answer = self.ask(DRAFT, "PUT", {"kind": "empty"}, If_Match=f'"{theirs["tag"]}"')
        self.error_of(answer, 412)
        assert json.loads(answer.body)["draft"] is None

    def test_of_many_at_once_one_wins(self) -> None:
        async def all_at_once() -> list[int]:
            headers = {"Cookie": self.cookie, "Origin": self.origin, "If-None-Match": "*"}
            bodies = [json.dumps({"kind": "empty", "author": str(number)}) for number in range(20)]
            fetch = self.http_client.fetch
            asked = [
                fetch(self.get_url(DRAFT), method="PUT", body=b, headers=headers, raise_error=False) for b in bodies
            ]
            return sorted([(await answer).code for answer in asked])

        assert self.io_loop.run_sync(all_at_once) == [200] + [412] * 19

    def test_two_hundred_at_once_are_all_answered(self) -> None:
        async def all_at_once() -> list[int]:
            headers = {"Cookie": self.cookie, "Origin": self.origin, "If-None-Match": "*"}
            bomb, fetch = gzip.compress(bytes(8 << 20), 1), self.http_client.fetch
            asked = [
                fetch(self.get_url(f"{DRAFT}/mask"), method="PUT", body=bomb, headers=headers, raise_error=False)
                if number % 2
                else fetch(self.get_url("/api/inbox"), headers={"Cookie": self.cookie})
                for number in range(200)
            ]
            return [(await answer).code for answer in asked]

        assert self.io_loop.run_sync(all_at_once, timeout=30) == [200, 400] * 100

    def test_ready_and_not(self) -> None:
        tag = self.put({"kind": "strokes", "lines": [LINE]}, **NEW)["tag"]
        for state in ("ready", "draft"):
            answer = self.ask(f"{DRAFT}/state", "POST", {"state": state}, If_Match=f'"{tag}"')
            found = json.loads(answer.body)
            assert (found["draft"]["state"], found["draft"]["lines"]) == (state, [LINE])
            tag = found["tag"]
        for state in ("conflict", "done", None, 1, ["ready"], {}):
            self.error_of(self.ask(f"{DRAFT}/state", "POST", {"state": state}, If_Match=f'"{tag}"'), 400)
        tag = self.put({"kind": "strokes", "lines": []}, If_Match=f'"{tag}"')["tag"]
        self.error_of(self.ask(f"{DRAFT}/state", "POST", {"state": "ready"}, If_Match=f'"{tag}"'), 400)
        self.error_of(self.ask(f"{DRAFT}/state", "POST", {"state": "ready"}, **NEW), 412)

    def test_drafts_are_in_the_inbox(self) -> None:
        self.put({"kind": "strokes", "lines": [LINE], "author": "anna"}, **NEW)
        self.put({"kind": "empty", "state": "ready"}, DRAFT.replace("/3", "/5"), **NEW)
        (line,) = json.loads(self.ask("/api/inbox").body)["lines"]
        assert line["drafts"] == [
            {"frame": 3, "state": "draft", "author": "anna"},
            {"frame": 5, "state": "ready", "author": ""},
        ]
        assert json.loads(self.ask("/api/seq/toy").body)["drawn"] == [LINE["object_id"]]

    def test_masks(self) -> None:
        labels = self.project.clip.truth(3)
        found = self.put(packed(labels), f"{DRAFT}/mask?author=anna", **NEW)
        assert (found["draft"]["kind"], found["draft"]["author"]) == ("mask", "anna")
        assert (read_mask(draft_file(self.project.scribble_file, 3).with_suffix(".png")) == labels).all()
        again = self.ask(f"{DRAFT}/mask")
        assert unpacked(again) == labels.tobytes() and again.headers["X-Size"] == "128x96"
        self.put({"kind": "empty"}, If_Match=f'"{found["tag"]}"')
        self.error_of(self.ask(f"{DRAFT}/mask"), 404)

    def test_a_mask_says_what_it_was_begun_on(self) -> None:
        """The set may have changed since: then a person decides, as between strokes."""
        body, begun_on = packed(np.ones((96, 128), np.uint8)), "1" * 64
        assert self.put(body, f"{DRAFT}/mask?base={begun_on}", **NEW)["draft"]["base"] == begun_on
        self.error_of(self.ask(f"{DRAFT}/mask?base=nothing", "PUT", body, **NEW), 400)

    def test_the_mask_that_was_given_for_a_frame_can_be_drawn_on(self) -> None:
        labels = self.project.clip.truth(3)
        masks_folder(self.project.scribble_file).mkdir(parents=True)
        write_mask(masks_folder(self.project.scribble_file) / "00003.png", labels)
        found = json.loads(self.ask(DRAFT).body)
        assert (found["draft"], found["in_set"]["kind"], len(found["in_set"]["base"])) == (None, "mask", 64)
        assert unpacked(self.ask(f"{DRAFT}/mask?of=set")) == labels.tobytes()
        self.error_of(self.ask(f"{DRAFT}/mask"), 404)

    def test_a_frame_that_was_called_empty_is_so_in_the_set(self) -> None:
        self.project.scribble(5)
        scribbles = read_scribbles(self.project.scribble_file, "toy", 12)
        write_scribbles(self.project.scribble_file, merge(scribbles, 3, ()))
        assert json.loads(self.ask(DRAFT).body)["in_set"]["kind"] == "empty"

    def test_masks_that_are_none(self) -> None:
        before = self.everything()
        bomb = gzip.compress(bytes(64 << 20), 1)
        for body in (
            b"",
            b"x",
            bomb,
            packed(np.zeros((96, 128), np.uint8))[:-3],
            packed(np.zeros((2, 2), np.uint8)),
        ):
            self.error_of(self.ask(f"{DRAFT}/mask", "PUT", body, **NEW), 400)
        self.error_of(self.ask(f"{DRAFT}/mask", "PUT", packed(np.full((96, 128), 255, np.uint8)), **NEW), 400)
        self.error_of(self.ask(DRAFT, "PUT", {"kind": "mask"}, **NEW), 400)
        assert self.everything() == before

    def test_drafts_that_are_none(self) -> None:
        before = self.everything()
        kinds: list[Any] = [{}, {"kind": "x"}, {"kind": None}, {"kind": "empty", "lines": [LINE]}, [], 7, "x", None]
        lines: list[Any] = [{**LINE, "object_id": value} for value in (255, -1, 1.5, "1", None, True, [1], 10**30)]
        lines += [{**LINE, "path": value} for value in ([], None, [[0]], [[9, 9]], [["0", 0]], [[0, None]], {}, "x")]
        lines += [None, 7, [], {}]
        fields: list[dict[str, Any]] = [
            {"state": "conflict"}, {"state": 1}, {"author": "x" * 300}, {"author": 1}, {"base": "x"}, {"revision": 99},
            {"sequence": "dog"}, {"mask": "../../x.png"}, {"absent": [0]}, {"absent": "1"}, {"corrects": "../x"},
            {"absent": [1], "lines": [LINE]}, {"state": "ready", "lines": []},
        ]  # fmt: skip
        bodies = [*kinds, *({"kind": "strokes", "lines": [each]} for each in lines)]
        bodies += [{"kind": "strokes", **each} for each in fields]
        for body in bodies:
            self.error_of(self.ask(DRAFT, "PUT", body, **NEW), 400)
        self.error_of(self.ask(DRAFT, "PUT", b'{"kind": "empty", "author": "' + b"x" * (1 << 20) + b'"}', **NEW), 413)
        assert self.everything() == before

    def test_places_that_are_none(self) -> None:
        before = self.everything()
        for name in ({*TRAVERSALS} - {"C:", "~"}) | {"objects", "x" * 300}:  # those two are names like others
            for path in (DRAFT.replace("001", name), DRAFT.replace("toy", name), f"{DRAFT}?dataset={name}"):
                for method, body in (("GET", None), ("PUT", {"kind": "empty"}), ("DELETE", None)):
                    answer = self.ask(path, method, body, **(NEW if method != "GET" else {}))
                    assert answer.code in (400, 404), (path, method, answer.code)
        for index in ("12", "9999999"):
            self.error_of(self.ask(DRAFT.replace("/3", f"/{index}"), "PUT", {"kind": "empty"}, **NEW), 404)
        assert self.everything() == before

    def test_a_full_disk_is_a_sentence(self) -> None:
        class Full(files.Disk):
            def write(self, descriptor: int, content: files.Bytes) -> int:
                raise OSError(errno.ENOSPC, "No space left on device")

        tag = self.put({"kind": "strokes", "lines": [LINE]}, **NEW)["tag"]
        before = self.everything()
        self.monkeypatch.setattr(files, "disk", Full())
        said = self.error_of(self.ask(DRAFT, "PUT", {"kind": "empty"}, If_Match=f'"{tag}"'), 500)
        assert "No space left" in said
        assert self.everything() == before

    def test_a_damaged_draft_is_a_sentence(self) -> None:
        self.put({"kind": "empty"}, **NEW)
        draft_file(self.project.scribble_file, 3).write_text("{")
        assert "00003.json" in self.error_of(self.ask(DRAFT), 400)
        self.error_of(self.ask(DRAFT, "PUT", {"kind": "empty"}, **NEW), 400)


class TestObjects(Draws):
    path = "/api/seq/toy/objects"

    def objects(self, *objects: Any, **more: Any) -> dict[str, Any]:
        return {"schema": 1, "sequence": "toy", "objects": [*objects], **more}

    def test_objects_are_written_over_those_that_were_seen(self) -> None:
        assert json.loads(self.ask(self.path).body) == {"tag": "", "objects": []}
        first = self.put(self.objects({"id": 1, "name": "<img src=x onerror=alert(1)>"}), self.path, **NEW)
        assert first["objects"][0]["name"] == "<img src=x onerror=alert(1)>"
        second = self.put(
            self.objects({"id": 1, "name": "Rex", "class": "dog"}), self.path, If_Match=f'"{first["tag"]}"'
        )
        for headers in (NEW, {"If_Match": f'"{first["tag"]}"'}):
            answer = self.ask(self.path, "PUT", self.objects(), **headers)
            self.error_of(answer, 412)
            assert json.loads(answer.body)["objects"] == second["objects"]
        self.error_of(self.ask(self.path, "PUT", self.objects()), 428)
        file = self.project.scribble_file.with_name("objects.json")
        assert json.loads(file.read_text())["objects"] == [{"id": 1, "name": "Rex", "class": "dog"}]
        assert json.loads(self.ask("/api/seq/toy").body)["objects"] == second["objects"]

    def test_objects_that_are_none(self) -> None:
        before = self.everything()
        rows: list[Any] = [
            {},
            {"id": 0},
            {"id": "1"},
            {"id": 1, "name": "\u0007"},
            {"id": 1, "x": 1},
            None,
            {"id": [1]},
        ]
        rows += [{"id": 1, "first": 99}, {"id": 1, "colour": "red"}, {"id": 1, "name": "x" * 10000}]
        for row in rows:
            self.error_of(self.ask(self.path, "PUT", self.objects(row), **NEW), 400)
        for body in (b"", b"[]", b"\xff", self.objects({"id": 1}, {"id": 1}), self.objects(sequence="dog"), {}):
            self.error_of(self.ask(self.path, "PUT", body, **NEW), 400)
        assert self.everything() == before


class TestReadOnly(Draws):
    def get_app(self) -> Page:
        self.options = {"read_only": True}
        return super().get_app()

    def test_nothing_is_written(self) -> None:
        before = self.everything()
        for path in (DRAFT, f"{DRAFT}/mask", f"{DRAFT}/state", TestObjects.path):
            for method in ("PUT", "POST", "DELETE"):
                assert "--read-only" in self.error_of(self.ask(path, method, {"kind": "empty"}, **NEW), 403)
        assert self.everything() == before
