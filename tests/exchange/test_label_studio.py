import base64
import json
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
from scipy import ndimage

from stages.core.errors import InputError
from stages.exchange.encodings import brush
from stages.exchange.outgoing.terms import Terms
from stages.exchange.readers.label_studio import READER
from stages.exchange.writers.label_studio import LabelStudio
from tests.exchange import adversarial, reading
from tests.exchange.driver import export, tree

OBJECT_1 = [0, 0, 0, 96, 57, 27, 252, 96, 19, 255, 223, 0, 159, 254, 248, 4, 255, 248, 140, 0]
OBJECT_2 = [0, 0, 0, 96, 57, 27, 254, 39, 0, 143, 255, 9, 128, 79, 255, 132, 192, 35, 255, 0]


def _result(mask, label="buoy #1", **changed):
    height, width = mask.shape
    value = {"format": "rle", "rle": list(brush.encode(mask)), "brushlabels": [label]}
    said = {"id": "r", "type": "brushlabels", "from_name": "tag", "to_name": "image", "value": value}
    return {**said, "original_width": width, "original_height": height, "image_rotation": 0, **changed}


def _task(image, *results, **changed):
    answer = {"id": 7, "was_cancelled": False, "result": [*results]}
    return {"id": 40, "data": {"image": image}, "annotations": [answer], "predictions": [], **changed}


def _file(folder: Path, *tasks):
    path = folder / "project-4-at-2024.json"
    path.write_text(json.dumps(tasks), "utf-8")
    return path


def _disc(x, y=20):
    rows, columns = np.indices((48, 64))
    return np.hypot(columns - x, rows - y) < 9


# --- the bytes -------------------------------------------------------------------------------------------------------


def test_the_bytes_of_the_worked_example():
    labels = adversarial.tiny().kept[0]
    assert list(brush.encode(labels == 1)) == OBJECT_1
    assert list(brush.encode(labels == 2)) == OBJECT_2
    assert np.array_equal(brush.decode(bytes(OBJECT_2), (6, 4)), labels == 2)


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (200, 300), (20, 70_000)])
@pytest.mark.parametrize("smooth", [None, 0.0, 2.0])
def test_any_mask_comes_back(size, smooth):
    if smooth is None:
        masks = [np.zeros(size, bool), np.ones(size, bool)]
    else:
        size = (size[0], min(size[1], 300))
        masks = [ndimage.gaussian_filter(np.random.default_rng(1).standard_normal(size), smooth) > 0]
    for mask in masks:
        assert np.array_equal(brush.decode(brush.encode(mask), mask.shape[::-1]), mask)


def test_values_one_by_one_and_soft_edges_are_read():
    """As other writers have it: three runs of alpha 0, then values of their own for two pixels."""
    bits = f"{4 * 5:032b}" + f"{7:05b}" + "".join(f"{n - 1:04b}" for n in (3, 4, 8, 16))
    bits += "1" + "01" + f"{12 - 1:04b}" + f"{0:08b}"
    bits += "0" + "00" + f"{8 - 1:03b}" + "".join(f"{value:08b}" for value in (255, 255, 255, 127, 9, 9, 9, 128))
    content = bytes(int(bits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8))
    assert brush.decode(content, (5, 1)).tolist() == [[False, False, False, False, True]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found an end after 0 bytes"),
        (bytes(OBJECT_1[:-4]), "found an end after 16 bytes"),
        (bytes([0, 0, 0, 92, *OBJECT_1[4:]]), "found 23 pixels, expected 6 x 4 = 24"),
        (bytes([255, 255, 255, 255, *OBJECT_1[4:]]), "expected 6 x 4 = 24"),
        (bytes([*OBJECT_1[:4], 255, *OBJECT_1[5:]]), "values of 32 bits"),
        (bytes([*OBJECT_1[:7], 255, 255, 255, 0, 0]), "pixels or more, expected 6 x 4 = 24"),
    ],
)
def test_bytes_that_cannot_be_are_refused(content, message):
    with pytest.raises(ValueError, match=message):
        brush.decode(content, (6, 4))


# --- round trips -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tasks_as", ["predictions", "annotations"])
@pytest.mark.parametrize("make", adversarial.SAMPLES, ids=adversarial.sample_id)
def test_masks_come_back_in_every_pixel(make, tasks_as, tmp_path):
    sample = make()
    folder = (
        export(LabelStudio(), {"train": [sample]}, tmp_path / "out", Terms(tasks_as=tasks_as)) / sample.sequence.name
    )
    assert READER.recognises(folder)
    names = [f"{sample.sequence.name}/{frame.name}" for frame in sample.frames() if frame.is_kept]
    reading.check_equal(reading.maps(READER, folder), names, sample.kept)


def test_a_task_as_label_studio_has_it(tmp_path):
    sample = adversarial.tiny(unknown=True)
    folder = export(LabelStudio(), {"train": [sample]}, tmp_path / "out", Terms(unknown_band=1)) / "tiny"
    task = json.loads((folder / "label_studio.json").read_text())[0]
    assert task["data"] == {"image": "/data/local-files/?d=tiny/00000.jpg", "sequence": "tiny", "frame": 0}
    (prediction,) = task["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("lis", 0.5)
    assert [result["value"]["brushlabels"] for result in prediction["result"]] == [["dog #1"], ["dog #2"], ["unknown"]]
    assert prediction["result"][0] == {
        "id": "o1",
        "type": "brushlabels",
        "from_name": "object",
        "to_name": "image",
        "origin": "manual",
        "image_rotation": 0,
        "original_width": 6,
        "original_height": 4,
        "value": {"format": "rle", "rle": OBJECT_1, "brushlabels": ["dog #1"]},
    }
    labels = Xml.parse(folder / "label_config.xml").getroot().find("BrushLabels")
    assert labels.attrib == {"name": "object", "toName": "image"}
    assert [each.get("value") for each in labels] == ["dog #1", "dog #2", "unknown"]
    assert labels[0].get("background") == sample.sequence.objects[0].colour


def test_a_picture_is_a_url_that_says_the_same_when_it_is_decoded(tmp_path):
    sample = adversarial.two_objects()
    terms = Terms(url_prefix="https://example.org/pictures/", tasks_as="annotations")
    folder = export(LabelStudio(), {"val": [sample]}, tmp_path / "out", terms, pictures=True)
    tasks = json.loads((folder / sample.sequence.name / "label_studio.json").read_text())
    url = tasks[0]["data"]["image"]
    assert url.isascii()
    assert (folder / unquote(url.removeprefix(terms.url_prefix))).is_file()
    assert [[*task] for task in tasks] == [["data", "annotations"]] * 5
    samples = {"train": [adversarial.tiny(), adversarial.lines()]}
    assert tree(export(LabelStudio(), samples, tmp_path / "1")) == tree(export(LabelStudio(), samples, tmp_path / "2"))


# --- what Label Studio and others write ------------------------------------------------------------------------------


def test_pictures_are_named_as_their_storage_has_them(tmp_path):
    uri = base64.urlsafe_b64encode(b"s3://bucket/clips/buoy/00006.jpg").decode()
    urls = {
        "/data/upload/4/3d00c1f2-00000.jpg": "3d00c1f2-00000.jpg",
        "/data/upload/4/00000003-00001.jpg": "00000003-00001.jpg",
        "/data/local-files/?d=clips%2Fbuoy%2F00003.jpg": "clips/buoy/00003.jpg",
        "/data/local-files/?d=clips/mein%20Hund/00003.jpg": "clips/mein Hund/00003.jpg",
        "https://example.org/a%20b/00004.jpg?X-Amz-Signature=00009.jpg": "/a b/00004.jpg",
        "s3://bucket/buoy/00005.jpg": "/buoy/00005.jpg",
        f"/tasks/40/resolve/?fileuri={uri}": "/clips/buoy/00006.jpg",
        "buoy\\00007.jpg": "buoy\\00007.jpg",
    }
    found = reading.maps(READER, _file(tmp_path, *(_task(url, _result(_disc(20))) for url in urls)))
    assert list(found) == list(urls.values())


def test_what_people_said_goes_before_what_was_guessed_and_cancelled_work_counts_as_none(tmp_path):
    guess = {"model_version": "lis", "result": [_result(_disc(10))]}
    older = {"model_version": "older", "result": [_result(_disc(50))]}
    cancelled = {"was_cancelled": True, "result": [_result(_disc(30))]}
    tasks = [
        _task("00000.jpg", _result(_disc(20)), predictions=[guess]),
        _task("00001.jpg", annotations=[cancelled], predictions=[older, 12, guess]),
        _task("00002.jpg", annotations=[cancelled]),
        _task("00003.jpg", predictions=[guess]),
    ]
    found = reading.maps(READER, _file(tmp_path, *tasks))
    assert list(found) == ["00000.jpg", "00001.jpg", "00003.jpg"]
    assert np.array_equal(found["00000.jpg"] == 1, _disc(20))
    assert np.array_equal(found["00001.jpg"] == 1, _disc(10))
    assert found["00003.jpg"] is None, "somebody submitted nothing; the file does not say of which size"


def test_labels_carry_the_number_or_nothing_and_other_kinds_of_answers_are_passed_over(tmp_path):
    tick = {"id": "c", "type": "choices", "value": {"choices": ["good"]}}
    results = [
        _result(_disc(10), "ball #1: <b>&\"' #2"),
        tick,
        _result(_disc(40), "buoy"),
        _result(_disc(60), "buoy #0"),
    ]
    (picture,) = READER.pictures(_file(tmp_path, _task("00000.jpg", *results)))
    shapes = [(shape.label, shape.object_id, shape.where) for shape in picture.content()]
    assert shapes == [("ball #1: <b>&\"'", 2, "result 1"), ("buoy", None, "result 3"), ("buoy", None, "result 4")]


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (_task("a.jpg", _result(_disc(9), type="polygonlabels")), "task 1, result 1: found the type 'polygonlabels'"),
        (_task("a.jpg", _result(_disc(9), value={"x": 1})), "task 1, result 1: found no run lengths"),
        (_task("a.jpg", _result(_disc(9), value={"format": "rle", "rle": [256]})), "found no run lengths"),
        (_task("a.jpg", _result(_disc(9), value={"format": "rle", "rle": 10**12})), "found no run lengths"),
        (_task("a.jpg", _result(_disc(9), original_width=63)), "result 1: found 3072 pixels, expected 63 x 48 = 3024"),
        (_task("a.jpg", _result(_disc(9)), _result(_disc(9), original_width=63)), "task 1: found sizes"),
        (_task("a.jpg", _result(_disc(9), original_width=0)), "original_width"),
        (_task("a.jpg", _result(_disc(9), image_rotation=90)), "rotated by 90 degrees"),
        (_task("a.jpg", _result(_disc(9), "buoy #255")), r"the object 255, expected 1\.\.254"),
        (_task("a.jpg", annotations=[{"result": []}] * 2), "task 1: found 2 annotations of one picture"),
        (_task(["a.jpg", "b.jpg"], _result(_disc(9))), "expected one under the key 'image'"),
        (_task("data:image/png;base64,AAAA", _result(_disc(9))), "expected one under the key 'image'"),
        (_task("a.jpg", _result(_disc(9)), data={"one": "a.jpg", "two": "b.jpg"}), "found 2 URLs"),
        ({"image": "a.jpg"}, "0.data: Field required"),
    ],
)
def test_what_cannot_be_is_one_line_that_says_where(task, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        reading.maps(READER, _file(tmp_path, task))
    assert "\n" not in str(caught.value)


def test_hostile_files_are_refused(tmp_path):
    path = tmp_path / "label_studio.json"
    for content in (b"", b"[" * 100_000, b'{"a": 1}', b"[3]", b"\xff\xfe", b"[{", b'[{"data": {}, "annotations": 3}]'):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"label_studio\.json"):
            list(READER.pictures(path))
    with pytest.raises(InputError, match="cannot be read"):
        list(READER.pictures(tmp_path / "nowhere.json"))
