"""What the page approves: of what was seen and nothing else, and it falls when the mask becomes another."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from stages.formats import files
from stages.formats.review_json import review_file
from tests.conftest import Project, copy_of
from tests.page.asking import ProjectPage

REVIEW = "/api/seq/toy/set/001/review"
NEW = {"If_None_Match": "*"}


class Reviews(ProjectPage):
    """A page over a labelled clip of twelve frames, with anchors on 2, 5, 8 and 11."""

    @pytest.fixture(autouse=True)
    def _labelled(self, labelled_once: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.project, self.monkeypatch = copy_of(labelled_once, tmp_path / "project"), monkeypatch

    def found(self, path: str = REVIEW) -> dict[str, Any]:
        answer = self.ask(path)
        assert answer.code == 200, answer.body
        found = json.loads(answer.body)
        assert answer.headers["ETag"] == f'"{found["tag"]}"'
        return found

    def put(self, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        answer = self.ask(REVIEW, "PUT", {"by": "anna", **body}, **headers)
        assert answer.code == 200, answer.body
        return json.loads(answer.body)

    def content(self, folder: str) -> str:
        return json.loads((self.project.root / folder / "manifest.json").read_text())["content"]


class TestReview(Reviews):
    def test_frames_are_approved_and_taken_back(self) -> None:
        none = self.found()
        assert none["tag"] == "" and none["result"] == {"of": self.content("masks"), "approved": [], "fallen": []}
        assert none["anchors"] == {"approved": {}, "waiting": [2, 5, 8, 11], "fallen": []}
        of = none["result"]["of"]
        first = self.put({"stage": "result", "approve": [[0, 4], [7, 7]], "of": of}, **NEW)
        assert [run[:3] for run in first["result"]["approved"]] == [[0, 4, "anna"], [7, 7, "anna"]]
        assert first == self.found()
        body = {"stage": "result", "approve": [[5, 5]], "withdraw": [[1, 2]], "of": of, "by": "ben"}
        second = self.put(body, If_Match=f'"{first["tag"]}"')
        runs = [run[:3] for run in second["result"]["approved"]]
        assert runs == [[0, 0, "anna"], [3, 4, "anna"], [5, 5, "ben"], [7, 7, "anna"]]

    def test_an_anchor_is_approved_by_itself(self) -> None:
        of = self.content("anchor_masks/00005")
        found = self.put({"stage": "anchor", "approve": [[5, 5]], "of": of}, **NEW)["anchors"]
        assert found["approved"]["5"][0] == "anna" and found["waiting"] == [2, 8, 11]
        several = {"stage": "anchor", "approve": [[5, 8]], "of": of}
        tag = f'"{self.found()["tag"]}"'
        assert "one a request" in self.error_of(self.ask(REVIEW, "PUT", several, If_Match=tag), 400)
        self.error_of(self.ask(REVIEW, "PUT", {**several, "approve": [[8, 8]]}, If_Match=tag), 409)
        assert self.put({"stage": "anchor", "withdraw": [[5, 5]]}, If_Match=tag)["anchors"]["approved"] == {}

    def test_what_was_seen_is_what_is_approved(self) -> None:
        body = {"stage": "result", "approve": [[0, 11]], "of": self.content("anchor_masks/00005")}
        assert "another result" in self.error_of(self.ask(REVIEW, "PUT", body, **NEW), 409)
        self.error_of(self.ask(REVIEW, "PUT", body), 428)
        assert not review_file(self.project.scribble_file).exists()

    def test_nobody_approves_over_what_she_has_not_seen(self) -> None:
        theirs = self.put({"stage": "result", "approve": [[0, 3]], "of": self.content("masks")}, **NEW)
        for headers in (NEW, {"If_Match": '"x"'}):
            answer = self.ask(REVIEW, "PUT", {"stage": "result", "withdraw": [[0, 3]]}, **headers)
            self.error_of(answer, 412)
            assert {name: value for name, value in json.loads(answer.body).items() if name != "error"} == theirs

    def test_approvals_fall_where_masks_become_others(self) -> None:
        self.put({"stage": "result", "approve": [[0, 11]], "of": self.content("masks")}, **NEW)
        manifest = self.project.root / "masks" / "manifest.json"
        said = json.loads(manifest.read_text())
        said["files"]["sha256"]["00004.png"] = "0" * 64
        self.publish(manifest, said)
        found = self.found()["result"]
        assert found["fallen"] == [4] and [run[:2] for run in found["approved"]] == [[0, 3], [5, 11]]

    def test_a_result_of_another_set_is_none(self) -> None:
        self.project.scribble_file.with_name("002.json").write_bytes(self.project.scribble_file.read_bytes())
        assert self.found("/api/seq/toy/set/002/review")["result"] == {"of": None, "approved": [], "fallen": []}

    def test_a_set_that_nobody_has_founded_is_not_reviewed(self) -> None:
        path = "/api/seq/toy/set/003/review"
        self.error_of(self.ask(path), 400)
        self.error_of(self.ask(path, "PUT", {"stage": "result", "withdraw": [[0, 3]]}, **NEW), 400)
        assert not review_file(self.project.scribble_file.with_name("003.json")).exists()

    def test_what_cannot_be_is_refused(self) -> None:
        of = self.content("masks")
        bodies: list[Any] = [
            {"stage": "coarse"},
            {"stage": "result", "approve": [[0, 12]], "of": of},
            {"stage": "result", "approve": [[3, 2]], "of": of},
            {"stage": "result", "approve": [[0, 10**30]], "of": of},
            {"stage": "result", "approve": [[0, 11], [0, 11]], "of": of},
            {"stage": "result", "approve": [[0, 11]], "of": of, "by": "a\u2028b"},
            {"stage": "result", "approve": [[0, 11]], "of": of, "by": "x" * 300},
            {"stage": "result", "more": 1},
            [],
            b"",
            b"[" * 10_000,
            b'{"stage": "result", "by": "\\ud800"}',
            b"\xff",
        ]
        for body in bodies:
            self.error_of(self.ask(REVIEW, "PUT", body, **NEW), 400)
        assert not review_file(self.project.scribble_file).exists()

    def test_a_full_disk_is_told_and_leaves_what_was_there(self) -> None:
        def refuse(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        self.put({"stage": "result", "approve": [[0, 3]], "of": self.content("masks")}, **NEW)
        before = self.found()
        self.monkeypatch.setattr(files.disk, "fsync", refuse)
        body = {"stage": "result", "withdraw": [[0, 3]]}
        assert "make room" in self.error_of(self.ask(REVIEW, "PUT", body, If_Match=f'"{before["tag"]}"'), 500)
        self.monkeypatch.undo()
        assert self.found() == before

    def publish(self, path: Path, said: dict[str, Any]) -> None:
        """A manifest that says something else, with a digest of itself that is right."""
        said["run"].pop("manifest_sha256")
        text = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
        said["run"]["manifest_sha256"] = hashlib.sha256(text).hexdigest()
        path.write_text(json.dumps(said))
