"""What the page is shown, asked for as a browser asks; the clip is labelled once for all tests of the file."""

import asyncio
import io
import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tornado.httpclient import HTTPResponse

from stages.formats.masks import read_mask
from stages.formats.pictures import as_browsers_take_it
from tasks.page.sequences import Sequences, described
from tests.conftest import REPOSITORY, Project, copy_of
from tests.page.asking import ProjectPage, sequences_of, unpacked

TRAVERSALS = (
    "..",
    "%2e%2e",
    "%2e%2e%2fset",
    "..%5c..",
    "%2Fetc",
    "toy%2f..%2ftoy",
    "toy%00",
    "%ff",
    ".toy",
    "toy%0a",
    "C:",
    "~",
)


class Reads(ProjectPage):
    """A page over the labelled toy clip."""

    @pytest.fixture(autouse=True)
    def _labelled(self, labelled_once: Project) -> None:
        self.project = labelled_once

    def found(self, path: str, **headers: str | None) -> Any:
        answer = self.ask(path, **headers)
        assert answer.code == 200, answer.body
        return json.loads(answer.body)


class TestReading(Reads):
    def mask(self, index: int, stage: str, **headers: str | None) -> HTTPResponse:
        return self.ask(f"/api/seq/toy/mask/{index}?stage={stage}", **headers)

    def test_the_inbox(self) -> None:
        found = self.found("/api/inbox")
        assert (found["total"], found["page"]) == (1, 0)
        (line,) = found["lines"]
        assert line["why"] == ""
        assert (line["sequence"], line["dataset"], line["state"]) == ("toy", "set", "done")
        assert line["doubt"]["worst"] > 0 and line["suggestion"]["expected_gain"] > 0
        assert self.found("/api/inbox?page=7")["lines"] == []
        assert self.found("/api/inbox?name=oy")["total"] == 1
        assert self.found("/api/inbox?name=dog")["total"] == self.found("/api/inbox?dataset=other")["total"] == 0

    def test_a_sequence(self) -> None:
        found = self.found("/api/seq/toy")
        assert (found["frame_count"], found["size"], found["anchors"]) == (12, [128, 96], [2, 5, 8, 11])
        assert (
            found["names"][3] == "00003.png"
            and found["sets"] == ["001"]
            and found["holder"] == ""
            and found["writable"]
        )
        assert found["drawn"] == [1, 2]
        assert set(found["contents"]) == {"masks", *(f"anchor_masks/{i:05d}" for i in (2, 5, 8, 11))}
        between = [[0, 1], [3, 4], [6, 7], [9, 10]]
        assert found["made"] == {
            "coarse": between,
            "refined": sorted([*between, *([anchor, anchor] for anchor in (2, 5, 8, 11))]),
        }
        assert self.found("/api/seq/toy?dataset=set") == found

    def test_a_frame(self) -> None:
        as_it_is = self.ask("/api/seq/toy/frame/3")
        assert as_it_is.headers["Content-Type"] == "image/png"
        assert as_it_is.body == (self.project.frames / "00003.png").read_bytes()
        small = self.ask("/api/seq/toy/frame/3?w=64&v=1")
        assert small.headers["Content-Type"] == "image/jpeg" and "immutable" in small.headers["Cache-Control"]
        picture = Image.open(io.BytesIO(small.body))
        assert picture.size == (64, 48)
        expected = Image.fromarray(self.project.clip.frame(3)).resize((64, 48), Image.Resampling.BILINEAR)
        assert np.abs(np.asarray(picture, float) - np.asarray(expected, float)).mean() < 6
        again = self.ask("/api/seq/toy/frame/3?w=64", If_None_Match=small.headers["ETag"])
        assert (again.code, again.body) == (304, b"")
        assert self.ask("/api/seq/toy/frame/3?w=32", If_None_Match=small.headers["ETag"]).code == 200

    def test_masks_are_ids_row_by_row(self) -> None:
        root = self.project.root
        files = {
            ("result", 4): root / "masks" / "00004.png",
            ("anchor", 5): root / "anchor_masks" / "00005" / "mask.png",
            ("coarse", 5): root / "anchor_masks" / "00005" / "mask.png",
            ("coarse", 4): root / "tracks" / "00002-00005" / "masks" / "00004.png",
            ("coarse", 0): root / "tracks" / "00000-00002" / "masks" / "00000.png",
            ("refined", 4): root / "refined" / "00002-00005" / "masks" / "00004.png",
            ("refined", 5): root / "refined" / "00005" / "masks" / "00005.png",
        }
        for (stage, index), path in files.items():
            answer = self.mask(index, stage)
            assert answer.code == 200, (stage, index, answer.body)
            ids = np.frombuffer(unpacked(answer), np.uint8).reshape(96, 128)
            assert answer.headers["X-Size"] == "128x96" and (ids == read_mask(path)).all() and ids.any()
            assert self.mask(index, stage, If_None_Match=answer.headers["ETag"]).code == 304
        for stage, index in (("anchor", 4), ("provisional", 4)):
            assert stage in self.error_of(self.mask(index, stage), 404)

    def test_doubt(self) -> None:
        found = self.found("/api/seq/toy/doubt")
        assert len(found["doubt"]) == 12 and 0 < found["doubt"][5] < found["doubt"][4] <= 1
        assert "objects" not in found
        more = self.found("/api/seq/toy/doubt?detail=1")
        assert set(more["objects"]) == {"1", "2"}
        assert more["doubt"] == [max(pair) for pair in zip(*more["objects"].values(), strict=True)]
        worst = self.found("/api/inbox")["lines"][0]["doubt"]
        assert abs(found["doubt"][worst["frame"]] - worst["worst"]) < 1e-4
        self.error_of(self.ask("/api/seq/toy/doubt?stage=provisional"), 404)
        truth = [np.count_nonzero(self.project.clip.truth(index) == 1) / (96 * 128) for index in range(12)]
        assert np.allclose(more["area"]["1"], truth, atol=0.02) and more["area"]["2"][11] == 0
        assert more["agreement"]["1"][5] is None and more["agreement"]["1"][6] > 0.5
        assert more["changed"] == []
        stretches = [tuple(card["stretch"]) for card in more["cards"]]
        assert more["cards"][0]["frame"] == worst["frame"] and len({*stretches}) == len(stretches) > 1
        assert more["suggestions"][0]["gain"] > 0 and more["suggestions"][0]["frame"] not in found["anchors"]

    def test_what_is_not_there(self) -> None:
        rest = ("", "/frame/0", "/mask/0", "/doubt")
        for path in rest:
            assert "did you mean toy" in self.error_of(self.ask(f"/api/seq/tyo{path}"), 404)
            self.error_of(self.ask(f"/api/seq/toy{path}?dataset=other"), 404)
        for index in (12, 9999999):
            assert "0..11" in self.error_of(self.ask(f"/api/seq/toy/frame/{index}"), 404)
            self.error_of(self.ask(f"/api/seq/toy/mask/{index}"), 404)
        for index in ("-1", "x", "1.0", "1e3", "%31", "12345678", "٣", ""):
            assert self.ask(f"/api/seq/toy/frame/{index}".encode().decode("latin-1")).code in (400, 404)

    def test_nothing_of_an_address_becomes_a_path(self) -> None:
        opened = watch_files()
        for name in TRAVERSALS:
            for rest in ("", "/frame/0", "/mask/0", "/doubt"):
                answer = self.ask(f"/api/seq/{name}{rest}")
                assert answer.code in (400, 404), (name, answer.code)
                answer = self.ask(f"/api/seq/toy{rest}?dataset={name}")
                assert answer.code in (400, 404), (name, answer.code)
        names = [path for path, _ in opened() if path.startswith("/")]
        outside = [path for path in names if not Path(path).resolve().is_relative_to(self.project.folder)]
        assert not [path for path in outside if "passwd" in path or path.rstrip("/") in ("/etc", "/")], outside
        for query in ("stage=../../x", "stage=", "stage=masks"):
            self.error_of(self.ask(f"/api/seq/toy/mask/0?{query}"), 400)
            self.error_of(self.ask(f"/api/seq/toy/doubt?{query}"), 400)
        for width in ("0", "15", "-1", "99999", "1e3", "nan", "", "²", "99999999999999999999"):
            assert self.ask(f"/api/seq/toy/frame/0?w={width}".encode().decode("latin-1")).code == 400, width

    def test_no_file_is_touched_on_the_loop(self) -> None:
        """Who waits for a disk would keep all others waiting: seen by who opens and lists, and in which thread."""
        loop = threading.get_ident()
        opened = watch_files()
        paths = (
            "/api/inbox",
            *(f"/api/seq/toy{rest}" for rest in ("", "/frame/3", "/frame/3?w=32", "/mask/3", "/doubt")),
        )
        for path in paths:
            assert self.ask(path).code == 200
        mine = [(path, thread) for path, thread in opened() if str(self.project.folder) in path]
        assert mine and not [path for path, thread in mine if thread == loop]

    def test_no_handler_keeps_the_loop(self) -> None:
        """Each step on the loop takes less than 5 ms of its processor, with bodies of a megabyte, too."""
        longest, run_step = [0.0], asyncio.Handle._run

        def timed(step: asyncio.Handle) -> None:
            started = time.thread_time()
            run_step(step)
            longest[0] = max(longest[0], time.thread_time() - started)

        large = json.dumps({"kind": "empty", "author": "x" * 1_000_000})
        intricate = json.dumps({"options": {str(number): [number] for number in range(50_000)}}).encode()
        paths = (
            "/api/inbox",
            *(f"/api/seq/toy{rest}" for rest in ("", "/frame/3", "/frame/3?w=32", "/mask/3", "/doubt")),
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio.Handle, "_run", timed)
            for path in paths:
                assert self.ask(path).code == 200
            assert self.ask("/api/seq/toy/set/001/draft/3", "PUT", large.encode(), If_None_Match="*").code == 400
            for what in ("set/001/draft/3/state", "run", "anchors", "export", "set/001/preview/3", "frame/3/box"):
                answer = self.ask(f"/api/seq/toy/{what}", "POST", intricate, If_None_Match="*")
                assert answer.code in (400, 413), what
            assert self.ask("/api/preview", "POST", intricate).code == 413
        assert 0 < longest[0] < 0.005

    def test_a_slow_disk_does_not_keep_the_others_waiting(self) -> None:
        """Every handler finds its sequence first: here that takes half a second, and the loop's clock ticks on."""
        rests = ("", "/frame/3", "/mask/3", "/doubt", "/objects", "/set/001/draft/3")
        find = Sequences.task

        def slowly(*arguments: Any, **options: str) -> Any:
            time.sleep(0.5)
            return find(*arguments, **options)

        async def longest_gap() -> float:
            headers = {"Cookie": self.cookie}
            addresses = [self.get_url(f"/api/seq/toy{rest}") for rest in rests]
            asked = [self.http_client.fetch(each, headers=headers, raise_error=False) for each in addresses]
            gap, before = 0.0, time.monotonic()
            while not all(each.done() for each in asked):
                await asyncio.sleep(0.002)
                gap, before = max(gap, time.monotonic() - before), time.monotonic()
            return gap

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Sequences, "task", slowly)
            assert self.io_loop.run_sync(longest_gap) < 0.25


class TestChanges(Reads):
    """Over a copy, in which files change."""

    @pytest.fixture(autouse=True)
    def _labelled(self, labelled_once: Project, tmp_path: Path) -> None:
        self.project = copy_of(labelled_once, tmp_path / "project")

    def line(self) -> dict[str, Any]:
        return self.found("/api/inbox")["lines"][0]

    def test_the_inbox_sees_what_changes(self) -> None:
        assert self.line()["state"] == "done"
        content = json.loads(self.project.scribble_file.read_text())
        content["scribbles"][5][0]["path"][0][0] += 0.01
        self.project.scribble_file.write_text(json.dumps(content))
        assert (self.line()["state"], self.line()["need"]) == ("stale", "run")
        shutil.rmtree(self.project.root)
        assert (self.line()["state"], self.line()["doubt"]) == ("new", None)
        self.project.scribble_file.write_text("{")
        line = self.line()
        assert (line["state"], line["need"]) == ("failed", "mending") and "001.json" in line["why"]

    def test_damage_is_a_sentence(self) -> None:
        (self.project.frames / "00003.png").write_bytes(b"no picture")
        assert "00003.png" in self.error_of(self.ask("/api/seq/toy/frame/3"), 400)
        (self.project.root / "masks" / "00004.png").write_bytes(b"no picture")
        assert "00004.png" in self.error_of(self.ask("/api/seq/toy/mask/4"), 400)
        (self.project.root / "masks" / "frames.csv").write_text("frame\nx\n")
        assert "frames.csv" in self.error_of(self.ask("/api/seq/toy/doubt"), 500)

    def test_names_that_are_in_several_datasets_need_the_dataset(self) -> None:
        data = self.project.folder / "data"
        shutil.copytree(data / "set" / "JPEGImages", data / "other" / "JPEGImages")
        assert "several datasets" in self.error_of(self.ask("/api/seq/toy"), 404)
        assert self.found("/api/seq/toy?dataset=other")["state"] == "new"
        assert self.found("/api/inbox")["total"] == 2


def test_a_frame_that_was_painted_is_told_before_a_run_has_read_it(project: Project) -> None:
    picture = project.clip.frame(5)
    picture[40:43, 20:50] = (128, 0, 0)
    (project.root / "requests").mkdir(parents=True)
    Image.fromarray(picture).save(project.root / "requests" / "00005.strokes.png")
    found = described(sequences_of(project).task("toy"))
    assert found["painted"] == [5] and 5 not in (*found["requested"], *found["annotated"])


def test_the_server_needs_no_engine(labelled_once: Project) -> None:
    """Its process takes no memory of engines, and no device."""
    code = f"""import sys
from tasks.page import server
from tasks.page.inbox import Inbox
from tasks.page.sequences import Sequences, described
sequences = Sequences({dict(sequences_of(labelled_once).options)!r})
assert Inbox(sequences).look() and described(sequences.task("toy"))
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert done.stdout.strip() == "False"


def test_what_a_browser_shows_as_it_is(tmp_path: Path) -> None:
    picture = Image.new("RGB", (40, 20))
    turned = Image.Exif()
    turned[0x0112] = 6
    picture.save(tmp_path / "plain.jpg")
    picture.save(tmp_path / "turned.jpg", exif=turned)
    picture.save(tmp_path / "picture.bmp")
    picture.convert("CMYK").save(tmp_path / "print.jpg")
    picture.convert("RGBA").save(tmp_path / "glass.png")
    found = {path.name: as_browsers_take_it(path) for path in tmp_path.iterdir()}
    assert found == {
        "plain.jpg": ("image/jpeg", (40, 20)),
        "turned.jpg": ("", (20, 40)),
        "picture.bmp": ("", (40, 20)),
        "print.jpg": ("", (40, 20)),
        "glass.png": ("", (40, 20)),
    }


_watchers: list[list[tuple[str, int]]] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _watchers and event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], (str, Path)):
        _watchers[-1].append((str(arguments[0]), threading.get_ident()))


sys.addaudithook(_watch)


def watch_files() -> Any:
    """From now on, note which files and folders are opened, and in which thread; returns what ends it and tells."""
    _watchers.append([])
    return _watchers.pop
