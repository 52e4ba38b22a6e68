import base64
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError
from stages.exchange.outgoing.part import PartReader
from stages.exchange.outgoing.terms import Terms
from stages.exchange.readers.labelme import READER
from stages.exchange.writers.labelme import LabelMe
from tests.exchange import adversarial, reading
from tests.exchange.driver import export, tree


def _png(patch, mode="L"):
    file = io.BytesIO()
    Image.fromarray(np.asarray(patch)).convert(mode).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _shape(points, kind="mask", label="duck", group_id=1, **more):
    return {"label": label, "points": points, "group_id": group_id, "shape_type": kind, "flags": {}, **more}


def _file(folder: Path, *shapes, name="00000", **changed):
    said = {"version": "5.4.1", "flags": {}, "shapes": [*shapes], "imagePath": f"..\\frames\\{name}.jpg"}
    said |= {"imageData": None, "imageHeight": 48, "imageWidth": 64, **changed}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(said), "utf-8")
    return path


def _only(path):
    (picture,) = READER.pictures(path)
    return reading.painted(picture)


@pytest.mark.parametrize("shape", ["mask", "polygon"])
@pytest.mark.parametrize("make", adversarial.SAMPLES, ids=adversarial.sample_id)
def test_masks_and_outlines_come_back_in_every_pixel(make, shape, tmp_path):
    sample = make()
    folder = export(LabelMe(), {"train": [sample]}, tmp_path / "out", Terms(shape=shape), pictures=True)
    assert READER.recognises(folder)
    assert all(Path(each.name).stem == Path(each.lies_in).stem for each in READER.pictures(folder))
    names = [f"{sample.sequence.name}/{frame.name}" for frame in sample.frames() if frame.is_kept]
    reading.check_equal(reading.maps(READER, folder), names, sample.kept)


def test_half_a_pixel_of_tolerance_costs_little(tmp_path):
    y, x = np.indices((240, 320))
    labels = np.zeros((240, 320), np.uint8)
    labels[np.hypot(x - 120, y - 100) < 60] = 1
    labels[(np.hypot(x - 200, y - 140) < 50) & (labels == 0)] = 2
    labels[np.hypot(x - 40, y - 200) < 5] = 3
    sample = adversarial.sample("discs", [labels])
    folder = export(LabelMe(), {"train": [sample]}, tmp_path / "out", Terms(shape="polygon", tolerance=0.5))
    found = reading.maps(READER, folder)
    assert reading.worst_iou(found, sample.kept, 300) >= 0.995
    assert reading.worst_iou(found, sample.kept, 64) >= 0.98
    measured = PartReader(folder.with_name("out.parts") / "train" / "discs").measured
    assert (measured.count, 0.75 < measured.worst < 0.85) == (3, True), "LabelMe itself makes small discs wider"


def test_a_file_as_labelme_has_it(tmp_path):
    sample = adversarial.tiny(unknown=True)
    folder = export(LabelMe(), {"train": [sample]}, tmp_path / "out", Terms(unknown_band=1))
    said = json.loads((folder / "tiny/00000.json").read_text())
    assert {key: said[key] for key in ("version", "imagePath", "imageData", "imageHeight", "imageWidth")} == {
        "version": "5.5.0", "imagePath": "00000.jpg", "imageData": None, "imageHeight": 4, "imageWidth": 6
    }  # fmt: skip
    described = [(each["label"], each["group_id"], each["points"]) for each in said["shapes"]]
    assert described == [
        ("dog", 1, [[1, 0], [2, 2]]),
        ("dog", 2, [[4, 1], [5, 3]]),
        ("__ignore__", None, [[0, 3], [0, 3]]),
    ]
    patch = Image.open(io.BytesIO(base64.b64decode(said["shapes"][1]["mask"])))
    assert (patch.mode, np.asarray(patch).tolist()) == ("L", [[255, 0], [255, 255], [0, 255]])
    assert (folder / "labels.txt").read_text() == "__ignore__\n_background_\ndog\n"


def test_a_frame_without_objects_has_a_file_and_says_so(tmp_path):
    sample = adversarial.come_and_go()
    folder = export(LabelMe(), {"val": [sample]}, tmp_path / "out")
    assert json.loads((folder / "come and go/00000.json").read_text())["shapes"] == []
    assert not reading.maps(READER, folder)["come and go/00000.jpg"].any()


def test_terms_that_do_not_go_together_are_refused_and_bytes_repeat(tmp_path):
    with pytest.raises(InputError, match="--tolerance with masks"):
        LabelMe().check(Terms(tolerance=1.0))
    samples = {"train": [adversarial.tiny(), adversarial.lines()]}
    assert tree(export(LabelMe(), samples, tmp_path / "one")) == tree(export(LabelMe(), samples, tmp_path / "two"))


# --- what LabelMe and others write -----------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["0 and 1", "1 bit", "turned", "fractions", "255", "16 bits"])
def test_a_patch_is_what_is_above_0_between_corners_in_any_order(spelling, tmp_path):
    y, x = np.mgrid[:12, :18]
    patch = (np.hypot((x - 8.5) / 1.5, y - 5.5) < 5.5).astype(np.uint8)
    corners = [[16, 20], [33, 31]]
    content = _png(patch * 255)
    if spelling == "0 and 1":
        content = _png(patch)
    elif spelling == "1 bit":
        content = _png(patch * 255, "1")
    elif spelling == "16 bits":
        content = _png(patch.astype(np.uint16) * 7, "I;16")
    elif spelling == "turned":
        corners = [[33, 31], [16, 20]]
    elif spelling == "fractions":
        corners = [[15.999999999, 20.0], [33.0, 30.999999999]]
    labels = _only(_file(tmp_path, _shape(corners, mask=content)))
    expected = np.zeros((48, 64), np.uint8)
    expected[20:32, 16:34] = patch
    assert np.array_equal(labels, expected)


def test_polygons_and_rectangles_are_read_on_pixel_edges_and_later_shapes_lie_above(tmp_path):
    path = _file(
        tmp_path,
        _shape([[2, 2], [20, 2], [20, 12], [2, 12]], "polygon"),
        _shape([[30, 14], [10, 4]], "rectangle", group_id=2),
        _shape([[12, 5], [14, 5], [14, 7], [12, 7]], "polygon", label="__ignore__", group_id=None),
        _shape([[60, 40], [70, 50]], mask=_png(np.ones((11, 11), np.uint8)), group_id=3),
    )
    expected = np.zeros((48, 64), np.uint8)
    expected[2:12, 2:20], expected[4:14, 10:30], expected[5:7, 12:14], expected[40:, 60:] = 1, 2, 255, 3
    (picture,) = READER.pictures(path)
    assert picture.name == "../frames/00000.jpg"
    assert np.array_equal(reading.painted(picture), expected)
    assert [shape.cut_px for shape in picture.content()] == [0, 0, 0, 121 - 8 * 4]


def test_a_group_id_of_0_says_nothing_and_what_is_no_file_of_labelmes_is_passed_over(tmp_path):
    _file(tmp_path, _shape([[0, 0], [3, 0], [3, 3]], "polygon", group_id=0))
    (tmp_path / "export.json").write_text('{"schema": 1}')
    (tmp_path / ".cache.json").write_text('{"shapes": [], "imagePath": ""}')
    (picture,) = READER.pictures(tmp_path)
    assert [shape.object_id for shape in picture.content()] == [None]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (_shape([[0, 0], [3, 3]], mask=_png(np.ones((4, 5), np.uint8))), "shape 1: found a patch of 5 x 4 .* 4 x 4"),
        (_shape([[0, 0], [1, 1]], mask=_png(np.ones((2, 2, 3), np.uint8), "RGB")), "mode RGB"),
        (_shape([[0, 0], [1, 1]], mask="no base64!"), "shape 1: found no PNG"),
        (_shape([[0, 0], [1, 1]], mask=base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()), "found no PNG"),
        (_shape([[0, 0], [1, 1]]), r"found no PNG as its mask \(unreadable\); save it again"),
        (_shape([[0, 0], [1.4, 1]], mask=_png(np.ones((2, 2), np.uint8))), "found the corner 1.4, expected a whole"),
        (_shape([[0, 0], [1, 1], [2, 2]], mask=""), "found 3 points, expected two corners"),
        (_shape([[0, 0], [9e9, 9e9]], mask=_png(np.ones((2, 2), np.uint8))), "a patch of 2 x 2"),
        (_shape([[0, 0], [5, 5]], "circle"), "found the type 'circle' with 2 points"),
        (_shape([[0, 0], [5, 5]], "polygon"), "found 2 points, expected 3 to"),
        (_shape([], "polygon"), "shapes.0.points"),
        (_shape([[0, 0], [1, 0], [1, 1]], "polygon", group_id=300), r"the object 300, expected 1\.\.254"),
        ({"label": "duck"}, "shapes.0.points: Field required"),
    ],
)
def test_what_cannot_be_is_one_line_that_says_where(shape, message, tmp_path):
    path = _file(tmp_path, shape)
    with pytest.raises(InputError, match=message) as caught:
        reading.maps(READER, path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_hostile_files_are_refused(tmp_path):
    path = tmp_path / "00000.json"
    for content in (b"", b"[" * 100_000, b'{"shapes": 3, "imagePath": "a.jpg"}', b"\xff\xfe", b'{"shapes": [', b"null"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"00000\.json"):
            list(READER.pictures(path))
    with pytest.raises(InputError, match="imageWidth"):
        list(READER.pictures(_file(tmp_path, imageWidth=-4)))
    with pytest.raises(InputError, match="no JSON file of LabelMe's"):
        path.unlink()
        list(READER.pictures(tmp_path))


def test_a_patch_that_claims_to_be_huge_takes_no_memory(tmp_path):
    small = base64.b64decode(_png(np.ones((4, 5), np.uint8)))
    for size, corner, message in (
        ((15_000, 9_000), [4, 3], "found a patch of 15000 x 9000 pixels, mode L, expected 5 x 4"),
        ((20_000, 9_000), [19_999, 8_999], "found no PNG as its mask .* exceeds limit"),
    ):
        head = b"IHDR" + struct.pack(">II", *size) + small[24:29]
        content = base64.b64encode(small[:12] + head + struct.pack(">I", zlib.crc32(head)) + small[33:]).decode()
        with pytest.raises(InputError, match=message):
            reading.maps(READER, _file(tmp_path, _shape([[0, 0], corner], mask=content)))
