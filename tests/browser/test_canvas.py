"""What the page and the report draw with: ids as colours, a video as a strip."""

import numpy as np
from playwright.sync_api import Page

from stages.core.palette import davis_palette

PAINT = """async ([rows, painting]) => {
  const { paint, davisPalette } = await import("/static/pixels.js");
  const only = painting.only && new Set(painting.only);
  const image = paint(Uint8Array.from(rows.flat()), rows[0].length, rows.length, davisPalette(), { ...painting, only });
  return [image.width, image.height, [...image.data]];
}"""
STRIP = """async strip => {
  const { drawStrip, frameAt, xOf } = await import("/static/strip.js");
  const canvas = document.createElement("canvas");
  canvas.className = "tried";
  document.body.append(canvas);
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(".tried { width: 100px; height: 67px; display: block }");
  document.adoptedStyleSheets = [sheet];
  const colours = { bar: "#f00", mark: "#0f0", asked: "#0ff", now: "#00f", stale: "#ff0", approved: "#fff" };
  drawStrip(canvas, strip, colours);
  const data = canvas.getContext("2d").getImageData(0, 0, 100, 67).data;
  canvas.remove();
  return { pixels: [...data], back: [...Array(strip.count).keys()].map(i => frameAt(strip, xOf(strip, i, 100), 100)) };
}"""
RED, GREEN, BLUE, WHITE = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255), (255, 255, 255, 255)


def painted(tab: Page, ids: np.ndarray, **painting: object) -> np.ndarray:
    """(H, W, 4) RGBA."""
    width, height, data = tab.evaluate(PAINT, [ids.tolist(), painting])
    return np.array(data, np.uint8).reshape(height, width, 4)


def strip(tab: Page, **said: object) -> tuple[np.ndarray, list[int]]:
    """(67, 100, 4) RGBA of the drawing, and what frame is found in the middle of each."""
    drawn = tab.evaluate(STRIP, {"now": 0, "marks": [], **said})
    return np.array(drawn["pixels"], np.uint8).reshape(67, 100, 4), drawn["back"]


def test_the_palette_is_that_of_the_masks(tab: Page) -> None:
    palette = tab.evaluate('async () => [...(await import("/static/pixels.js")).davisPalette()]')
    assert palette == davis_palette().ravel().tolist()


def test_an_object_is_filled_and_has_a_light_line_inside_and_a_dark_one_outside(tab: Page) -> None:
    ids = np.zeros((20, 30), int)
    ids[5:15, 10:20] = 1
    ids[5:15, 20:25] = 2
    seen = painted(tab, ids)
    assert (seen[ids == 0][:, :3] == 0).all() and seen[10, 5, 3] == 0
    assert seen[10, 9].tolist() == [0, 0, 0, 180] and seen[10, 8, 3] == 0
    assert seen[10, 14].tolist() == [128, 0, 0, 115]
    for line in (seen[5, 12], seen[14, 12], seen[10, 10], seen[10, 19]):
        assert line.tolist() == [255, 128, 128, 245]
    thick = painted(tab, ids, outline=3)
    assert thick[10, 12].tolist() == [255, 128, 128, 245] and thick[10, 14].tolist() == [128, 0, 0, 115]
    assert set(map(tuple, painted(tab, ids, outline=0).reshape(-1, 4))) == {
        (0, 0, 0, 0), (128, 0, 0, 115), (0, 128, 0, 115),
    }  # fmt: skip


def test_one_object_alone_is_painted_as_among_others(tab: Page) -> None:
    ids = np.zeros((20, 30), int)
    ids[5:15, 10:20] = 1
    ids[5:15, 20:25] = 2
    both, alone = painted(tab, ids), painted(tab, ids, only=[2])
    assert (alone[ids == 2] == both[ids == 2]).all()
    assert alone[10, 15, 3] == 0 and alone[10, 19].tolist() == [0, 0, 0, 180]
    assert not painted(tab, ids, only=[]).any()


def test_a_part_is_painted_as_in_the_whole(tab: Page) -> None:
    ids = np.random.default_rng(3).integers(0, 3, (24, 32)).repeat(2, 0).repeat(2, 1)
    part = {"x": 7, "y": 11, "width": 40, "height": 37}
    for outline in (0, 1, 2):
        whole = painted(tab, ids, outline=outline)
        assert (painted(tab, ids, outline=outline, part=part) == whole[11:48, 7:47]).all()


def test_the_worst_frame_of_many_is_seen(tab: Page) -> None:
    doubt = [0.0] * 5000
    doubt[2512] = 1.0
    drawn, back = strip(tab, count=5000, doubt=doubt)
    assert [tuple(drawn[y, 50]) for y in (15, 62)] == [RED, RED] and drawn[30, 49, 3] == drawn[30, 51, 3] == 0
    assert back == list(range(5000))


def test_marks_stretches_and_the_frame_that_is_looked_at_have_their_places(tab: Page) -> None:
    marks = [{"frame": 2, "kind": "anchor"}, {"frame": 5, "kind": "asked"}]
    said = {"count": 10, "doubt": [0.5] * 10, "now": 8, "marks": marks, "approved": [[0, 3]], "stale": [[6, 7]]}
    drawn, _ = strip(tab, **said)
    assert tuple(drawn[7, 25]) == GREEN and drawn[7, 55, 3] == 0 and tuple(drawn[40, 85]) == BLUE
    assert tuple(drawn[65, 35]) == WHITE and drawn[65, 45, 3] == 0
    assert drawn[20, 61:79, 3].any() and not drawn[20, 41:59, 3].any()
    assert tuple(drawn[45, 5]) == RED and drawn[30, 5, 3] == 0
    nearer, _ = strip(tab, **said, first=5, last=9)
    assert tuple(nearer[40, 70]) == BLUE and not nearer[65, :60, 3].any()


def test_a_curve_has_gaps_where_nothing_is_known(tab: Page) -> None:
    curve = {"values": [0.5, 0.5, 0.5, None, None, 0.5, 0.5], "colour": "#00ff00"}
    drawn, _ = strip(tab, count=7, doubt=[], curves=[curve])
    assert drawn[39, 20, 3] and drawn[39, 85, 3] and not drawn[39, 42:70, 3].any()
