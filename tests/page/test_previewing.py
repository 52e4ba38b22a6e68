"""Previews as the page asks for them."""

import json
from typing import Any

import numpy as np
import pytest
from tornado.httpclient import HTTPResponse

from stages.formats.given_masks import seen_copy
from stages.formats.results import MASKS
from tasks.page.handlers import Page
from tests.conftest import Project
from tests.page.asking import ProjectPage, unpacked

PREVIEW = "/api/seq/toy/set/001/preview/3"
DRAFT = "/api/seq/toy/set/001/draft/3"
BOX = "/api/seq/toy/frame/3/box"
LINE = {"object_id": 1, "path": [[0.25, 0.5], [0.5, 0.5]], "start_time": 0, "end_time": 900}
NEW = {"If_None_Match": "*"}


class Previews(ProjectPage):
    """A page over a labelled clip."""

    @pytest.fixture(autouse=True)
    def _finished(self, finished: Project) -> None:
        self.project = finished

    def post(self, path: str, body: Any) -> HTTPResponse:
        return self.ask(path, "POST", body)

    def digest(self, stage: str = "result") -> str:
        return str(self.ask(f"/api/seq/toy/mask/3?stage={stage}").headers["X-Digest"])


class TestPreviews(Previews):
    def test_a_mask_and_what_is_left(self) -> None:
        answer = self.post(PREVIEW, {"object": 1, "lines": [LINE], "corrects": "", "absent": []})
        assert (answer.code, answer.headers["X-Size"], unpacked(answer)) == (200, "1x1", b"mask")
        assert json.loads(answer.headers["X-Preview"]).items() >= {"done": [], "left": [], "seconds": 0}.items()

    def test_the_worker_is_asked_for_what_a_run_would_use(self) -> None:
        assert json.loads(self.ask("/api/preview").body) == {"state": "off", "engine": "", "why": ""}
        for body in ({}, {"sequence": "toy"}):
            assert json.loads(self.post("/api/preview", body).body)["state"] in ("starting", "ready")
        self.post(PREVIEW, {"object": 1, "lines": [LINE]})
        assert json.loads(self.ask("/api/preview").body) == {"state": "ready", "engine": "grabcut", "why": ""}
        self.error_of(self.post("/api/preview", {"sequence": "tyo"}), 404)

    def test_what_waits_gives_way_to_what_is_newer(self) -> None:
        async def at_once() -> list[int]:
            headers, body = {"Cookie": self.cookie, "Origin": self.origin}, json.dumps({"object": 1, "lines": [LINE]})
            asked = [
                self.http_client.fetch(
                    self.get_url(PREVIEW), method="POST", body=body, headers=headers, raise_error=False
                )
                for _ in range(6)
            ]
            answers = [await answer for answer in asked]
            assert all(json.loads(each.body)["superseded"] is True for each in answers if each.code == 409)
            return [each.code for each in answers]

        codes = self.io_loop.run_sync(at_once)
        assert set(codes) == {200, 409} and codes.count(409) >= 3

    def test_without_a_worker_there_is_a_sentence(self) -> None:
        self.io_loop.run_sync(self.previewer.end)
        assert "no preview" in self.error_of(self.post(PREVIEW, {"object": 1, "lines": [LINE]}), 503)
        assert "no preview" in json.loads(self.ask("/api/preview").body)["why"]

    def test_requests_that_are_none(self) -> None:
        bodies: list[Any] = [{}, [], b"", b"{", {"object": 1, "lines": [LINE], "x": 1}, {"object": 1, "state": "ready"}]
        bodies += [{"object": each, "lines": [LINE]} for each in (None, "1", True, -1, 255, 1.0, 10**30, [1])]
        bodies += [{"object": 1, "lines": each} for each in (None, 7, [{}], [{**LINE, "path": [[9, 9]]}])]
        bodies += [{"object": 1, "lines": [LINE], "absent": each} for each in ([1], [0], "2", None)]
        bodies += [{"object": 1, "lines": [LINE], "corrects": each} for each in ("x", "../x", None, 1)]
        for body in bodies:
            self.error_of(self.post(PREVIEW, body), 400)
        self.error_of(self.post(PREVIEW, {"object": 1, "lines": [LINE], "corrects": "0" * 64}), 409)
        self.error_of(self.post(PREVIEW.replace("/3", "/12"), {"object": 1, "lines": [LINE]}), 404)
        for body in ({"sequence": 1}, {"sequence": None}, {"seq": "toy"}, []):
            self.error_of(self.post("/api/preview", body), 400)

    def test_strokes_around_a_box(self) -> None:
        found = json.loads(self.post(BOX, {"object_id": 2, "box": [0.25, 0.25, 0.75, 0.5]}).body)
        assert [line["object_id"] for line in found["lines"]] == [0, 0, 0, 0, 2] and found["from_boxes"] == [2]
        draft = {"kind": "strokes", "lines": found["lines"], "from_boxes": found["from_boxes"]}
        assert self.ask(DRAFT, "PUT", draft, **NEW).code == 200

    def test_a_box_is_not_drawn_into_the_others_of_a_mask_that_is_corrected(self) -> None:
        seen = np.frombuffer(unpacked(self.ask("/api/seq/toy/mask/3")), np.uint8).reshape(96, 128)
        rows, columns = np.nonzero(seen == 2)
        (middle_x, middle_y), right = (columns.mean() / 128, rows.mean() / 96), (columns.max() + 1) / 128
        alone, beside = (
            json.loads(self.post(BOX, {"object_id": 1, "box": [0.1, 0.1, middle_x, middle_y], **more}).body)["lines"]
            for more in ({}, {"corrects": self.digest()})
        )
        assert len(alone) == len(beside) == 5
        under, under_beside = (max((y, x) for line in drawn[:4] for x, y in line["path"]) for drawn in (alone, beside))
        assert under == pytest.approx((under_beside[0], middle_x), abs=0.02) and under_beside[1] < under[1] < right

    def test_boxes_that_are_none(self) -> None:
        boxes: list[Any] = [None, [], [0, 0, 1], [0, 0, 0, 1], [0.5, 0, 0.4, 1], [0, 0, 1, 1.1], [-1, 0, 1, 1]]
        boxes += [["0", 0, 1, 1], [0, 0, 1, None], {}, "0011", [0, 0, 1, 10**400], [[0], 0, 1, 1]]
        bodies: list[Any] = [{"object_id": 1, "box": box} for box in boxes]
        bodies += [{"object_id": each, "box": [0, 0, 1, 1]} for each in (0, 255, None, "1", True)]
        for body in (
            *bodies,
            {"object_id": 1, "box": [0, 0, 1, 1], "x": 1},
            b'{"object_id": 1, "box": [0, 0, NaN, 1]}',
        ):
            self.error_of(self.post(BOX, body), 400)
        for corrects in ("x", 7, "0" * 64, "../../x"):
            self.error_of(self.post(BOX, {"object_id": 1, "box": [0, 0, 1, 1], "corrects": corrects}), 409)


class TestCorrections(Previews):
    def test_what_is_corrected_is_kept_when_the_draft_is_saved(self) -> None:
        digest = self.digest()
        draft = {"kind": "strokes", "lines": [LINE], "corrects": digest}
        tag = json.loads(self.ask(DRAFT, "PUT", draft, **NEW).body)["tag"]
        copy = seen_copy(self.project.scribble_file, 3, digest)
        assert copy.read_bytes() == (self.project.root / MASKS / "00003.png").read_bytes()
        for file in self.project.root.rglob("*.png"):
            file.unlink()
        assert self.ask(DRAFT, "PUT", draft, If_Match=f'"{tag}"').code == 200, "a new result does no harm"
        assert self.post(PREVIEW, {"object": 1, "lines": [LINE], "corrects": digest}).code == 200
        other = {**draft, "corrects": "0" * 64}
        assert "not there any more" in self.error_of(self.ask(DRAFT, "PUT", other, If_Match='"x"'), 409)


class TestReadOnly(Previews):
    def get_app(self) -> Page:
        self.options = {"read_only": True}
        return super().get_app()

    def test_nobody_draws(self) -> None:
        self.error_of(self.post(PREVIEW, {"object": 1, "lines": [LINE]}), 403)
        self.error_of(self.post("/api/preview", {}), 403)
        assert json.loads(self.ask("/api/preview").body)["state"] == "off"
