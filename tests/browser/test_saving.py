"""What was drawn is not lost: killed servers, cut wires, closed tabs, full disks, somebody else on the same frame."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Route, expect

from stages.core.strokes import Line
from stages.formats.draft_json import Draft, DraftKind, DraftState
from stages.formats.drafts import NEW, drafts_folder, mask_of_draft, read_draft, write_draft
from stages.formats.masks import read_mask
from stages.formats.scribbles import read_scribbles
from tests.browser.pointers import drag, line
from tests.browser.serving import Served
from tests.browser.test_shell import HOSTILE
from tests.browser.watching import Watch, check_looks, wait_for
from tests.conftest import Project, copy_of

AWAY = ("ERR_CONNECTION_", "ERR_INTERNET_DISCONNECTED", "WebSocket connection")
"""What browsers complain of while a server is away."""
OpenContext = Callable[..., BrowserContext]


@pytest.fixture
def own(project: Project) -> Iterator[Served]:
    """A server of this test alone, over a clip that nobody has drawn on."""
    with Served(project) as server:
        yield server


class Person:
    """Somebody with a browser of her own, who looks at a frame of the toy clip."""

    def __init__(self, context: BrowserContext, served: Served, watch: Watch, frame: int) -> None:
        self.context, self._served, self._watch = context, served, watch
        watch.expect("/preview/")  # a newer stroke goes before
        opened = context.new_page()
        opened.goto(served.address)
        expect(opened).to_have_url(f"{served.origin}/")  # the token is traded
        opened.close()
        self.look_at(frame)

    def look_at(self, frame: int) -> None:
        """In a new tab."""
        self.tab = self._watch.over(self.context.new_page())
        self.tab.goto(f"{self._served.origin}/?seq=toy&frame={frame}")
        self.is_at(frame)

    def is_at(self, frame: int) -> None:
        expect(self.tab.locator("#frame-bar")).to_contain_text(f"frame {frame} of 12")
        expect(self.button("Nothing here")).to_be_enabled()

    def draw(self, height: float) -> None:
        """A stroke from left to right, on a picture that is there."""
        expect(self.tab.locator("#canvas")).to_have_attribute("aria-busy", "false")
        drag(self.tab.locator("#canvas"), line((0.4, height), (0.6, height)))

    def button(self, name: str) -> Any:
        return self.tab.get_by_role("button", name=name, exact=True)

    def saving(self, text: str) -> None:
        expect(self.tab.locator("#saving")).to_contain_text(text, timeout=25_000)


@pytest.fixture
def person(open_context: OpenContext, watch: Watch) -> Callable[..., Person]:
    def new(served: Served, frame: int, **options: Any) -> Person:
        return Person(open_context(**options), served, watch, frame)

    return new


def saved(project: Project, frame: int) -> Draft:
    draft = read_draft(project.scribble_file, frame)
    assert draft is not None
    return draft


def listed(project: Project) -> list[dict[str, Any]]:
    """The objects that are named."""
    file = project.scribble_file.parent / "objects.json"
    objects: list[dict[str, Any]] = json.loads(file.read_text())["objects"] if file.exists() else []
    return objects


def heights(project: Project, frame: int) -> list[float]:
    """Where the strokes of a draft lie, from top to bottom of the window."""
    return [path[0][1] for path in (each.path for each in saved(project, frame).lines)]


def test_a_frame_is_drawn_done_and_drawn_again(own: Served, person: Callable[..., Person], project: Project) -> None:
    anna = person(own, 2)
    anna.draw(0.4)
    anna.saving("all is saved")
    assert saved(project, 2).state == DraftState.DRAFT and len(saved(project, 2).lines) == 1
    check_looks(anna.tab, "drawn")
    anna.tab.keyboard.press("Enter")
    anna.is_at(3)
    expect(anna.tab.locator("#filmstrip")).to_contain_text("2 ✓ ready")
    assert saved(project, 2).state == DraftState.READY
    anna.tab.locator("#filmstrip button", has_text="2 ✓ ready").click()
    anna.is_at(2)
    anna.draw(0.5)
    expect(anna.tab.locator("#filmstrip")).to_contain_text("2 ✎ draft")
    assert saved(project, 2).state == DraftState.DRAFT and len(saved(project, 2).lines) == 2


def test_a_forgotten_object_is_named_and_after_done_keys_go_on_at_the_picture(
    own: Served, person: Callable[..., Person]
) -> None:
    anna = person(own, 2)
    about = anna.tab.locator("#frame-bar")
    for number, height in (("1", 0.4), ("2", 0.6)):
        anna.tab.keyboard.press(number)
        anna.draw(height)
    anna.tab.keyboard.press("Enter")
    anna.is_at(3)
    anna.draw(0.6)
    expect(about).to_contain_text("without object 1")
    anna.tab.keyboard.press("1")
    anna.draw(0.4)
    expect(about).not_to_contain_text("without")
    anna.tab.keyboard.press("s")  # whoever has touched a key last sees the focus
    anna.button("Done").focus()
    anna.tab.keyboard.press("Enter")
    anna.is_at(5)
    expect(anna.tab.locator("#canvas")).to_be_focused()


def test_the_strip_tells_of_a_frame_that_was_painted(project: Project, person: Callable[..., Person]) -> None:
    picture = project.clip.frame(7)
    picture[40:43, 20:50] = (128, 0, 0)
    (project.root / "requests").mkdir(parents=True)
    Image.fromarray(picture).save(project.root / "requests" / "00007.strokes.png")
    with Served(project) as served:
        anna = person(served, 7)
        expect(anna.tab.locator("#filmstrip")).to_contain_text("7 ▨ painted")
        expect(anna.tab.locator("#frame-bar")).to_contain_text("painted, for the next run")


def test_a_frame_is_empty_skipped_or_its_draft_discarded(
    own: Served, person: Callable[..., Person], project: Project
) -> None:
    anna = person(own, 2)
    anna.tab.keyboard.press("k")
    anna.is_at(3)
    expect(anna.tab.locator("#filmstrip")).to_contain_text("2 … skipped")
    assert not drafts_folder(project.scribble_file).exists()
    anna.tab.keyboard.press("x")
    expect(anna.tab.locator("#filmstrip")).to_contain_text("3 ✎ draft")
    assert saved(project, 3).kind == DraftKind.EMPTY
    anna.tab.on("dialog", lambda dialog: dialog.accept())
    anna.button("Discard").click()
    expect(anna.tab.locator("#filmstrip")).to_contain_text("3 ○ asked for")
    assert read_draft(project.scribble_file, 3) is None
    anna.tab.keyboard.press("Control+z")
    expect(anna.tab.locator("#filmstrip")).to_contain_text("3 ✎ draft")
    assert saved(project, 3).kind == DraftKind.EMPTY


def test_a_killed_server_costs_no_stroke(
    own: Served, person: Callable[..., Person], project: Project, watch: Watch
) -> None:
    watch.expect(*AWAY)
    anna = person(own, 2)
    anna.draw(0.3)
    anna.saving("all is saved")
    own.kill()
    anna.draw(0.4)
    anna.draw(0.5)
    anna.saving("not saved: the server does not answer, 2 changes wait in this browser")
    own.start()
    anna.saving("all is saved")
    assert len(saved(project, 2).lines) == 3
    own.kill()
    anna.draw(0.6)
    anna.saving("1 change waits")
    anna.tab.close()
    own.start()
    anna.look_at(2)
    expect(anna.tab.locator("#frame-bar")).to_contain_text("4 strokes")
    anna.saving("all is saved")
    found = heights(project, 2)
    assert len(found) == 4 and found == sorted(found)


def test_a_stroke_is_kept_that_is_drawn_while_the_page_goes(
    own: Served, person: Callable[..., Person], project: Project, watch: Watch
) -> None:
    watch.expect("status of 412")  # what the page has sent when it went has come as well
    anna = person(own, 2)
    anna.draw(0.3)
    box = anna.tab.locator("#canvas").bounding_box()
    assert box is not None
    anna.tab.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
    anna.tab.mouse.down()
    anna.tab.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5, steps=5)
    anna.tab.reload()
    anna.is_at(2)
    expect(anna.tab.locator("#frame-bar")).to_contain_text("2 strokes")
    anna.saving("all is saved")
    assert len(saved(project, 2).lines) == 2


def test_painted_masks_wait_in_the_browser_too(
    own: Served, person: Callable[..., Person], project: Project, watch: Watch
) -> None:
    watch.expect(*AWAY)
    anna = person(own, 2)
    anna.tab.keyboard.press("b")
    anna.draw(0.4)
    anna.saving("all is saved")
    first = read_mask(mask_of_draft(project.scribble_file, 2)) == 1
    own.kill()
    anna.draw(0.6)
    anna.saving("1 change waits")
    anna.tab.close()
    own.start()
    anna.look_at(2)
    expect(anna.tab.locator("#frame-bar")).to_contain_text("a painted mask")
    expect(anna.button("Undo")).to_be_enabled()
    anna.saving("all is saved")
    assert saved(project, 2).kind == DraftKind.MASK
    both = read_mask(mask_of_draft(project.scribble_file, 2)) == 1
    assert first.any() and both[first].all() and both.sum() > 1.5 * first.sum()


def test_two_people_on_one_frame_decide(
    own: Served, person: Callable[..., Person], project: Project, watch: Watch
) -> None:
    watch.expect(*AWAY, "status of 412")
    anna, berta = person(own, 2), person(own, 2)
    for frame, choice, left, undone in ((2, "Keep mine", 1, 2), (3, "Take theirs", 2, 1), (5, "Keep both", 3, 2)):
        anna.look_at(frame)
        berta.look_at(frame)
        berta.context.set_offline(True)
        anna.draw(0.3)
        anna.draw(0.4)
        anna.saving("all is saved")
        berta.draw(0.6)
        berta.saving("1 change waits")
        berta.context.set_offline(False)
        dialog = berta.tab.get_by_role("dialog", name="Who is right?")
        expect(dialog).to_contain_text("2 strokes of object 1", timeout=25_000)
        expect(dialog).to_contain_text("You say: 1 stroke of object 1")
        assert len(saved(project, frame).lines) == 2
        if choice == "Keep both":
            check_looks(berta.tab, "conflict")
        dialog.get_by_role("button", name=choice).click()
        expect(dialog).to_be_hidden()
        berta.saving("all is saved")
        assert len(saved(project, frame).lines) == left
        berta.tab.keyboard.press("Control+z")
        expect(berta.tab.locator("#frame-bar")).to_contain_text(f" · {undone} stroke")
        berta.saving("all is saved")
        assert len(saved(project, frame).lines) == undone


def test_the_set_and_a_draft_say_different_things_and_a_person_decides(
    own: Served, person: Callable[..., Person], project: Project
) -> None:
    anna = person(own, 2)
    anna.draw(0.4)
    anna.button("Done").click()
    anna.is_at(3)
    anna.saving("all is saved")
    drawn = saved(project, 2).lines
    project.scribble(2)
    edited = read_scribbles(project.scribble_file, "toy", 12).frame(2).lines
    project.run(expect=20)
    assert saved(project, 2).state == DraftState.CONFLICT
    expect(anna.tab.locator("#filmstrip")).to_contain_text("2 ! to decide")
    anna.look_at(2)
    dialog = anna.tab.get_by_role("dialog", name="Who is right?")
    expect(dialog).to_contain_text("The scribble set says")
    dialog.get_by_role("button", name="Keep both").click()
    anna.button("Done").click()
    anna.saving("all is saved")
    project.run(expect=20)
    assert read_scribbles(project.scribble_file, "toy", 12).frame(2).lines == (*edited, *drawn)


def test_an_answer_that_was_lost_is_no_conflict(
    own: Served, person: Callable[..., Person], project: Project, watch: Watch
) -> None:
    watch.expect("ERR_FAILED", "status of 412")
    anna = person(own, 2)

    def lose_answer(route: Route) -> None:
        if route.request.method == "PUT":
            route.fetch()
            route.abort()
        else:
            route.continue_()

    anna.tab.route("**/draft/2?*", lose_answer)
    anna.draw(0.3)
    anna.saving("1 change waits")
    anna.tab.keyboard.press("Control+z")
    anna.draw(0.4)
    anna.tab.unroute("**/draft/2?*")
    anna.saving("all is saved")
    assert len(saved(project, 2).lines) == 1 and saved(project, 2).lines[0].path[0][1] > 0.35
    expect(anna.tab.get_by_role("dialog")).to_be_hidden()


def test_tabs_of_one_browser_do_not_take_from_each_other(
    own: Served, person: Callable[..., Person], project: Project, watch: Watch
) -> None:
    watch.expect(*AWAY)
    anna = person(own, 2)
    first = anna.tab
    anna.look_at(3)
    own.kill()
    anna.draw(0.4)
    anna.saving("1 change waits")
    anna.tab.close()
    drag(first.locator("#canvas"), line((0.4, 0.5), (0.6, 0.5)))
    expect(first.locator("#saving")).to_contain_text("1 change waits")
    own.start()
    anna.look_at(3)
    expect(anna.tab.locator("#frame-bar")).to_contain_text("1 stroke")
    anna.saving("all is saved")
    expect(first.locator("#saving")).to_contain_text("all is saved", timeout=25_000)
    assert [len(saved(project, frame).lines) for frame in (2, 3)] == [1, 1]  # and nobody was refused: see `watch`


def test_strokes_stay_in_the_browser_if_the_project_is_another_one(
    own: Served, person: Callable[..., Person], project: Project, watch: Watch
) -> None:
    watch.expect(*AWAY)
    anna = person(own, 2)
    own.kill()
    anna.draw(0.4)
    anna.saving("1 change waits")
    anna.tab.close()
    (project.frames / "00011.png").write_bytes((project.frames / "00000.png").read_bytes())
    own.start()
    anna.look_at(2)
    expect(anna.tab.locator("#said")).to_contain_text("waits in this browser: its pictures are others now")
    assert read_draft(project.scribble_file, 2) is None


def test_what_somebody_else_draws_is_shown(own: Served, person: Callable[..., Person], project: Project) -> None:
    anna, berta = person(own, 2), person(own, 2)
    anna.draw(0.4)
    expect(berta.tab.locator("#frame-bar")).to_contain_text("1 stroke")
    expect(berta.tab.locator("#frame-bar")).to_contain_text("somebody is on this frame, too")
    berta.draw(0.5)
    berta.saving("all is saved")
    assert len(saved(project, 2).lines) == 2


def test_a_run_takes_what_is_ready_and_drawing_goes_on(
    own: Served, person: Callable[..., Person], project: Project
) -> None:
    anna = person(own, 2)
    anna.draw(0.4)
    anna.button("Done").click()
    anna.is_at(3)
    anna.saving("all is saved")
    drawn = saved(project, 2).lines
    project.run(expect=20)
    assert read_draft(project.scribble_file, 2) is None
    assert read_scribbles(project.scribble_file, "toy", 12).frame(2).lines == drawn
    anna.tab.keyboard.press("PageUp")
    anna.is_at(2)
    expect(anna.tab.locator("#filmstrip")).to_contain_text("2 ◆ computed")
    anna.draw(0.5)
    anna.saving("all is saved")
    assert saved(project, 2).lines[0] == drawn[0] and len(saved(project, 2).lines) == 2
    expect(anna.tab.get_by_role("dialog")).to_be_hidden()


def test_a_stroke_on_a_result_corrects_the_mask_that_was_seen(
    labelled_once: Project, tmp_path: Path, person: Callable[..., Person]
) -> None:
    project = copy_of(labelled_once, tmp_path / "project")
    with Served(project) as served:
        anna = person(served, 3)
        anna.draw(0.5)
        anna.saving("all is saved")
        mask = project.root / "masks" / "00003.png"
        first = hashlib.sha256(mask.read_bytes()).hexdigest()
        assert saved(project, 3).corrects == first
        anna.tab.get_by_role("button", name="Absent here: object 2").click()
        anna.saving("all is saved")
        expect(anna.tab.locator("#frame-bar")).to_contain_text("a stroke corrects its own object")
        assert saved(project, 3).absent == (2,)
        anna.button("Done").click()
        expect(anna.tab.locator("#filmstrip")).to_contain_text("3 ✓ ready")
        project.run()
        expect(anna.tab.locator("#standing")).to_contain_text("done", timeout=25_000)
        expect(anna.tab.locator("#frame-bar")).not_to_contain_text("1 stroke")  # it is in the mask that is seen now
        anna.draw(0.6)
        anna.saving("all is saved")
        again = saved(project, 3)
        assert again.corrects == hashlib.sha256(mask.read_bytes()).hexdigest() != first
        assert len(again.lines) == 1


def test_of_two_answers_the_one_that_was_asked_for_last_counts(
    labelled_once: Project, tmp_path: Path, person: Callable[..., Person]
) -> None:
    """A run takes a stroke into the set, then into the mask: who asks between both knows nothing of the mask."""
    project = copy_of(labelled_once, tmp_path / "project")
    with Served(project) as served:
        anna = person(served, 3)
        anna.draw(0.5)
        anna.saving("all is saved")
        anna.button("Done").click()
        expect(anna.tab.locator("#filmstrip")).to_contain_text("3 ✓ ready")
        asked: list[Route] = []

        def hold(route: Route) -> None:
            asked.append(route)

        anna.tab.route("**/draft/3?*", hold)
        project.run()
        expect(anna.tab.locator("#standing")).to_contain_text("done", timeout=25_000)
        wait_for(anna.tab, lambda: len(asked) > 1)
        for route in asked:
            route.continue_()
            anna.tab.wait_for_timeout(300)
        anna.tab.unroute("**/draft/3?*")
        expect(anna.tab.locator("#frame-bar")).not_to_contain_text("1 stroke")


def test_paint_on_a_result_is_gone_from_sight_when_it_is_undone(
    labelled_once: Project, tmp_path: Path, person: Callable[..., Person]
) -> None:
    with Served(copy_of(labelled_once, tmp_path / "project")) as served:
        anna = person(served, 3)
        opaque = "pen.getImageData(0, 0, layer.width, layer.height).data.filter((value, at) => at % 4 === 3 && value)"
        painted = f"layer => {{ const pen = layer.getContext('2d'); return {opaque}.length; }}"
        layer = anna.tab.locator("#mask-layer")
        comes_to = f"([sign, count]) => Math.sign(({painted})(document.querySelector('#mask-layer')) - count) === sign"
        anna.tab.wait_for_function(comes_to, arg=[1, 0])
        before = layer.evaluate(painted)
        anna.tab.keyboard.press("b")
        drag(anna.tab.locator("#picture-layer"), line((0.1, 0.97), (0.2, 0.97)))
        anna.saving("all is saved")
        anna.tab.wait_for_function(comes_to, arg=[1, before])
        anna.tab.keyboard.press("Control+z")
        anna.saving("all is saved")
        anna.tab.wait_for_function(comes_to, arg=[0, before])


def test_a_disk_that_refuses_is_told_and_costs_nothing(
    own: Served, person: Callable[..., Person], project: Project, watch: Watch
) -> None:
    watch.expect("status of 500")
    anna = person(own, 2)
    drafts_folder(project.scribble_file).parent.mkdir(parents=True)
    drafts_folder(project.scribble_file).write_text("in the way")
    anna.draw(0.4)
    anna.saving("the draft cannot be written")
    anna.draw(0.5)
    drafts_folder(project.scribble_file).unlink()
    anna.saving("all is saved")
    assert len(saved(project, 2).lines) == 2


def test_a_browser_that_keeps_nothing_saves_all_the_same(
    own: Served, person: Callable[..., Person], open_context: OpenContext, watch: Watch, project: Project
) -> None:
    context = open_context()
    context.add_init_script("Object.defineProperty(window, 'indexedDB', {value: undefined})")
    anna = Person(context, own, watch, 2)
    anna.draw(0.4)
    anna.saving("all is saved")
    assert len(saved(project, 2).lines) == 1


def test_a_cut_wire_blocks_no_drawing(
    own: Served, person: Callable[..., Person], project: Project, watch: Watch
) -> None:
    watch.expect(*AWAY)
    anna = person(own, 2)
    anna.context.set_offline(True)
    for height in (0.3, 0.4, 0.5, 0.6):
        anna.draw(height)
        anna.tab.wait_for_timeout(1500)
    anna.tab.keyboard.press("Enter")
    anna.is_at(3)
    anna.saving("wait in this browser")
    anna.context.set_offline(False)
    anna.saving("all is saved")
    found = saved(project, 2)
    assert (len(found.lines), found.state) == (4, DraftState.READY)


def test_who_may_only_look_is_told_so_and_has_no_tools(
    project: Project, open_context: OpenContext, watch: Watch
) -> None:
    with Served(project, "--read-only") as served:
        page = watch.over(open_context().new_page())
        page.goto(served.address)
        page.locator("#inbox-lines a").click()
        expect(page.locator("#frame-bar")).to_contain_text("read only: nothing is drawn here")
        for name in ("Done", "Nothing here", "Skip", "New object", "Stroke"):
            expect(page.get_by_role("button", name=name, exact=True)).to_be_hidden()
        drag(page.locator("#canvas"), line((0.4, 0.5), (0.6, 0.5)))
        page.keyboard.press("x")
        page.wait_for_timeout(500)
        assert not project.scribble_file.parent.exists()


def test_objects_are_named_and_their_names_are_text(
    own: Served, person: Callable[..., Person], project: Project
) -> None:
    anna = person(own, 2)
    for number, name in enumerate([*HOSTILE, "é" * 100], 1):
        if number > 1:
            anna.button("New object").click()
        anna.tab.get_by_label(f"Name of object {number}").fill(name)
        anna.tab.get_by_label(f"Name of object {number}").press("Enter")
        anna.tab.get_by_label(f"Class of object {number}").fill(name)
        anna.tab.get_by_label(f"Class of object {number}").press("Enter")
        expect(anna.tab.locator("#said")).to_be_hidden()
    names = [*HOSTILE, "é" * 100]
    wait_for(anna.tab, lambda: [each.get("class") for each in listed(project)] == names)
    anna.tab.reload()
    anna.is_at(2)
    assert [each["name"] for each in listed(project)] == names
    for number, name in enumerate(names, 1):
        expect(anna.tab.get_by_label(f"Name of object {number}")).to_have_value(name)
    assert anna.tab.evaluate("window.hurt") is None
    check_looks(anna.tab, "names")


def test_names_of_people_are_text(own: Served, person: Callable[..., Person], project: Project, watch: Watch) -> None:
    """Beside what they draw, where they are, and in the question who is right."""
    watch.expect(*AWAY, "status of 412")
    anna, berta = person(own, 2), person(own, 2)
    for number, name in enumerate(HOSTILE, 1):
        drawn = Draft("toy", "001", 2, lines=(Line(1, ((0.3, 0.1 * number), (0.6, 0.5))),), author=name)
        write_draft(project.scribble_file, drawn, saved(project, 2).tag if number > 1 else NEW)
        expect(anna.tab.locator("#said")).to_contain_text(f"{name} has drawn on frame 2")
        berta.tab.evaluate("name => localStorage.setItem('lis.author', JSON.stringify(name))", name)
        berta.tab.reload()
        expect(anna.tab.locator("#frame-bar")).to_contain_text(f"{name} is on this frame")
    berta.tab.close()
    anna.context.set_offline(True)
    write_draft(project.scribble_file, replace(drawn, kind=DraftKind.EMPTY, lines=()), saved(project, 2).tag)
    anna.draw(0.5)
    anna.context.set_offline(False)
    expect(anna.tab.locator("#conflict")).to_contain_text(f"{name} says", timeout=25_000)
    assert anna.tab.evaluate("window.hurt") is None


def test_objects_that_somebody_else_has_named_are_not_written_over(
    own: Served, person: Callable[..., Person], project: Project, watch: Watch
) -> None:
    watch.expect("ERR_FAILED")
    anna, berta = person(own, 2), person(own, 3)
    berta.tab.route("**/api/seq/toy?*", lambda route: route.abort())  # she does not hear of it
    for who, what, text in ((anna, "Name", "Rex"), (berta, "Class", "cat")):
        with who.tab.expect_response("**/objects?*"):
            who.tab.get_by_label(f"{what} of object 1").fill(text)
            who.tab.get_by_label(f"{what} of object 1").press("Enter")
        who.tab.wait_for_timeout(500)
    expect(berta.tab.get_by_label("Name of object 1")).to_have_value("Rex")
    expect(berta.tab.get_by_label("Class of object 1")).not_to_have_value("cat")
    dog = listed(project)[0]
    assert dog["name"] == "Rex" and dog.get("class") != "cat"


def test_a_stroke_between_provisional_masks_corrects_them_as_a_painted_one_does(
    project: Project, person: Callable[..., Person]
) -> None:
    project.scribble(2, 8)
    project.run(expect=20)
    [mask] = project.root.glob("provisional/00004.png")
    with Served(project) as server:
        anna = person(server, 4)
        anna.draw(0.4)
        anna.saving("all is saved")
    assert saved(project, 4).corrects == hashlib.sha256(mask.read_bytes()).hexdigest()
