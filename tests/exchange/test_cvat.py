import zipfile
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import pytest

from stages.core.errors import InputError
from stages.exchange.encodings.outlines import filled
from stages.exchange.outgoing.format import ExportedObject
from stages.exchange.outgoing.terms import Terms
from stages.exchange.readers.cvat import READER
from stages.exchange.writers.cvat import Cvat
from tests.exchange import adversarial, reading
from tests.exchange.driver import export, tree

ANIMAL = adversarial.ANIMAL
OBJECT_1 = '<attribute name="object_id">1</attribute>'


def _exported(sample, folder, terms=None):
    return export(Cvat(), {"train": [sample]}, folder, terms) / sample.sequence.name / "annotations.xml"


def _names(sample):
    return [frame.name for frame in sample.frames() if frame.is_kept]


def _image(*shapes, name="a/00000.jpg", size="64 48", number=0):
    width, height = size.split()
    return f'<image id="{number}" name="{name}" width="{width}" height="{height}">{"".join(shapes)}</image>'


def _mask(rle="0, 6", left="1", top="0", width="2", height="3", inside=OBJECT_1, **said):
    more = "".join(f' {key}="{value}"' for key, value in said.items())
    box = f'left="{left}" top="{top}" width="{width}" height="{height}"'
    return f'<mask label="dog" rle="{rle}" {box}{more}>{inside}</mask>'


def _polygon(points, object_id=1, z_order=0, label="dog"):
    inside = f'<attribute name="object_id">{object_id}</attribute>'
    return f'<polygon label="{label}" points="{points}" z_order="{z_order}">{inside}</polygon>'


def _file(folder: Path, *images, head=""):
    path = folder / "annotations.xml"
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?>{head}<annotations>{"".join(images)}</annotations>', "utf-8"
    )
    return path


def _only(path):
    (picture,) = READER.pictures(path)
    return reading.painted(picture)


@pytest.mark.parametrize("make", adversarial.SAMPLES, ids=adversarial.sample_id)
def test_masks_come_back_in_every_pixel(make, tmp_path):
    sample = make()
    path = _exported(sample, tmp_path / "out")
    assert READER.recognises(path)
    assert READER.recognises(path.parent)
    reading.check_equal(reading.maps(READER, path), _names(sample), sample.kept)


def test_the_worked_example(tmp_path):
    path = _exported(adversarial.tiny(unknown=True), tmp_path / "out", Terms(unknown_band=1))
    first = Xml.parse(path).getroot().find("image")
    masks = [
        (mask.get("label"), mask.get("rle"), *(int(mask.get(k)) for k in ("left", "top", "width", "height")))
        for mask in first
    ]
    assert masks == [
        ("dog", "0, 6", 1, 0, 2, 3),
        ("dog", "0, 1, 1, 2, 1, 1", 4, 1, 2, 3),
        ("unknown", "0, 1", 0, 3, 1, 1),
    ]
    assert (path.parent / "labels.json").read_text() == (
        '[{"name":"dog","type":"mask","color":"#800000","attributes":[{"name":"object_id","input_type":"number",'
        '"mutable":false,"values":["0","254","1"],"default_value":"0"}]},'
        '{"name":"unknown","type":"mask","color":"#000000","attributes":[]}]\n'
    )


def test_an_image_is_numbered_as_in_a_task_of_the_exported_pictures(tmp_path):
    sample = adversarial.dropped()
    root = Xml.parse(_exported(sample, tmp_path / "out")).getroot()
    assert [image.get("id") for image in root.findall("image")] == ["0", "1", "2", "3", "4"]
    assert root.findtext("meta/task/size") == "5"
    assert _names(sample)[0] == "00001.jpg"


def test_what_objects_json_says_becomes_attributes_that_the_labels_have(tmp_path):
    said = {"occluded": True, "race": adversarial.QUOTES, "age": 3}
    sample = adversarial.sample("kennel", [np.array([[1, 3]], np.uint8)])
    objects = (
        ExportedObject(1, "Rex", ANIMAL, "#800000", said),
        ExportedObject(3, "Bo", ANIMAL, "#808000", {"age": 2.5}),
    )
    sample = adversarial.Sample(adversarial.replace(sample.sequence, objects=objects), sample.maps)
    path = _exported(sample, tmp_path / "out")
    rex, bo = Xml.parse(path).getroot().find("image")
    assert {each.get("name"): each.text for each in rex} == {
        "object_id": "1", "occluded": "true", "race": adversarial.QUOTES, "age": "3"
    }  # fmt: skip
    assert {each.get("name"): each.text for each in bo} == {"object_id": "3", "age": "2.5"}
    declared = Xml.parse(path).getroot().find("meta/task/labels/label/attributes")
    assert [(each.findtext("name"), each.findtext("input_type")) for each in declared] == [
        ("object_id", "number"), ("age", "text"), ("occluded", "checkbox"), ("race", "text")
    ]  # fmt: skip
    clash = ExportedObject(1, "Rex", ANIMAL, "#800000", {"object_id": "mine"})
    with pytest.raises(InputError, match=r"found the attribute 'object_id'.*another name"):
        _exported(
            adversarial.Sample(adversarial.replace(sample.sequence, objects=(clash,)), sample.maps), tmp_path / "clash"
        )


def test_polygons_are_tracks_of_parts_that_end_where_the_part_is_gone(tmp_path):
    sample = adversarial.two_objects()
    path = _exported(sample, tmp_path / "out", Terms(shape="polygon"))
    root = Xml.parse(path).getroot()
    assert root.findtext("meta/task/mode") == "interpolation"
    tracks = {track.get("id"): [*track] for track in root.findall("track")}
    assert list(tracks) == ["0", "1", "2"], "object 1 has two parts, object 2 has one"
    course = [(shape.get("frame"), shape.get("outside")) for shape in tracks["1"]]
    assert course == [("0", "0"), ("1", "0"), ("2", "1"), ("3", "0"), ("4", "0")]
    assert [shape.get("outside") for shape in tracks["2"]] == ["0"] * 5
    points = [point.split(",") for point in tracks["1"][0].get("points").split(";")]
    part = filled(np.array(points, float), sample.sequence.size_wh)
    assert np.array_equal(part, sample.object_mask(0, 1) & (np.indices(part.shape)[0] > 26)), "the lower part"
    with pytest.raises(InputError, match=r"a <track>.*CVAT for images"):
        list(READER.pictures(path))


def test_terms_that_do_not_go_together_are_refused():
    with pytest.raises(InputError, match="--tolerance with masks"):
        Cvat().check(Terms(tolerance=1.0))
    with pytest.raises(InputError, match="unknown pixels with --shape polygon"):
        Cvat().check(Terms(shape="polygon", unknown_band=2))


def test_bytes_repeat_and_splits_are_no_folders(tmp_path):
    one, two = (
        tree(
            export(
                Cvat(), {"train": [adversarial.tiny()], "val": [adversarial.lines()]}, tmp_path / name, pictures=True
            )
        )
        for name in ("one", "two")
    )
    assert one == two
    assert {path for path in one if "lines" in path} == {
        "lines/annotations.xml", "lines/labels.json", "lines/images/00000.jpg"
    }  # fmt: skip


# --- what CVAT and others write --------------------------------------------------------------------------------------


def test_a_zip_made_again_by_hand_is_read_with_its_backslashes_and_without_a_macs_hidden_files(tmp_path):
    for style in ("windows", "mac"):
        names = [f"cams/cam{camera}/{frame:05}.jpg" for camera in range(2) for frame in range(2)]
        names = [name.replace("/", "\\") for name in names] if style == "windows" else names
        images = [_image(_mask(left=str(i)), name=name, number=i) for i, name in enumerate(names)]
        xml = _file(tmp_path, *images).read_bytes()
        path = tmp_path / f"{style}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            if style == "mac":
                archive.writestr("__MACOSX/job/._annotations.xml", b"\0\5\x16\7" + bytes(60))
                archive.writestr("job/.DS_Store", b"\0\0\0\1Bud1")
            archive.writestr(
                zipfile.ZipInfo("job\\annotations.xml" if style == "windows" else "job/annotations.xml"), xml
            )
        assert READER.recognises(path)
        found = reading.maps(READER, path)
        assert list(found) == names, "all cameras, each with its folder: which is meant is not the reader's to say"
        assert [int(np.argmax(labels.any(axis=0))) for labels in found.values()] == [0, 1, 2, 3]


def test_a_mask_over_the_edge_is_cut_off_and_does_not_move(tmp_path):
    y, x = np.mgrid[:14, :20]
    patch = np.hypot(x - 10, y - 7) < 7
    edges = np.flatnonzero(np.diff(patch.ravel(), prepend=False, append=False))
    rle = ", ".join(str(run) for run in np.diff(edges, prepend=0, append=patch.size))
    for left, top in ((-5, -3), (55, 40), (-30, 2), (12, 70)):
        path = _file(tmp_path, _image(_mask(rle, left, top, 20, 14)))
        (picture,) = READER.pictures(path)
        (shape,) = picture.content()
        expected = np.zeros((200, 200), bool)
        expected[60 + top : 74 + top, 60 + left : 80 + left] = patch
        assert np.array_equal(shape.mask, expected[60:108, 60:124])
        assert shape.cut_px == patch.sum() - shape.mask.sum() > 0


def test_numbers_with_a_decimal_point_are_whole_numbers(tmp_path):
    path = _file(tmp_path, _image(_mask("0.0, 6.0", "12.0", "3.0", "2.0", "3.0"), size="64.0 48"))
    labels = _only(path)
    assert np.array_equal(np.argwhere(labels == 1), np.argwhere(np.pad(np.ones((3, 2)), ((3, 42), (12, 50)))))


def test_polygons_are_filled_on_pixel_edges_in_the_order_of_z(tmp_path):
    path = _file(
        tmp_path,
        _image(
            _polygon("4,4;8,4;8,8;4,8", object_id=0, z_order=3, label="unknown"),
            _polygon("2,2;20,2;20,12;2,12;2,2", object_id=1),
            _polygon("10,2;40,2;40,12;40,12;10,12", object_id=2, z_order=1),
            _polygon("-10,20;-5,20;-5,25", object_id=2),
        ),
    )
    expected = np.zeros((48, 64), np.uint8)
    expected[2:12, 2:10], expected[2:12, 10:40], expected[4:8, 4:8] = 1, 2, 255
    assert np.array_equal(_only(path), expected)


def test_a_hole_is_a_later_shape_of_the_label_background(tmp_path):
    path = _file(tmp_path, _image(_polygon("0,0;8,0;8,8;0,8"), _polygon("2,2;4,2;4,4;2,4", 0, label="background")))
    (picture,) = READER.pictures(path)
    assert [(shape.label, shape.object_id) for shape in picture.content()] == [("dog", 1), ("background", None)]


def test_an_image_that_nobody_has_worked_on_says_nothing(tmp_path):
    assert _only(_file(tmp_path, _image("<tag label='done'></tag>"))) is None


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([_image(), _image(_mask(), _mask("1, 46", width="6", height="8"), number=12)],
         "annotations.xml, image 12, mask 2: found 47 pixels, expected 6 x 8 = 48; export it again"),
        ([_image(_mask("0, -1, 7"))], "image 0, mask 1: found run lengths that are no whole numbers"),
        ([_image(_mask("0, nan"))], "no whole numbers"),
        ([_image(_mask("0, 1e999"))], "no whole numbers"),
        ([_image(_mask("0, six"))], "mask 1: found run lengths that are no numbers"),
        ([_image(_mask("9" * 30, width="9" * 15, height="9" * 15))], "found width '9{15}', expected a whole number"),
        ([_image(_mask("0, 1000000000000", width="1000000", height="1000000"))], "a box of 1000000 x 1000000 pixels"),
        ([_image(_mask(left="3.5"))], "found left '3.5', expected a whole number"),
        ([_image(_mask(inside='<attribute name="object_id">255</attribute>'))], r"the object 255, expected 1\.\.254"),
        ([_image(_mask(inside='<attribute name="object_id">Rex</attribute>'))], "found object_id 'Rex', expected"),
        ([_image(_polygon("1,1;5,5;1,1;1,1"))], None),
        ([_image(_polygon("1,1;1,1;5,5"))], "polygon 1: found 3 points, expected 3 to"),
        ([_image(_polygon("1,1;2;3,3"))], "no points of two numbers"),
        ([_image(_polygon("1,1;2,inf;3,3"))], "no points of two numbers"),
        ([_image('<box label="dog" xtl="1" ytl="1" xbr="5" ybr="6"/>')], "image 0, box 1: expected masks and polygons"),
        ([_image(name="")], "image 0: found no name"),
        ([_image(size="x 48")], "found the width 'x'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_that_says_where(images, message, tmp_path):
    path = _file(tmp_path, *images)
    if message is None:
        reading.maps(READER, path)
        return
    with pytest.raises(InputError, match=message) as caught:
        reading.maps(READER, path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found no XML"),
        (b"<annotations><image id='0'", "found no XML"),
        (b'<?xml version="1.0" encoding="klingon"?><annotations/>', "found no XML"),
        (b"<COCO/>", "found <COCO>, expected <annotations>"),
        (b"<annotations>" * 100, "elements inside one another"),
        (
            b'<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><annotations>&c;</annotations>',
            "document type",
        ),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations/>', "document type"),
        (b"PK\3\4 no zip", "found no XML"),
    ],
    ids=["empty", "cut", "encoding", "other", "deep", "bomb", "outside", "zip"],
)
def test_hostile_files_are_refused(content, message, tmp_path):
    path = tmp_path / "annotations.xml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        list(READER.pictures(path))


def test_a_polygon_that_would_take_all_memory_is_refused(tmp_path):
    zigzag = ";".join(f"{3000 * (i % 2)},{i % 7}" for i in range(4000))
    path = _file(tmp_path, _image(_polygon(zigzag), size="3000 48"))
    with pytest.raises(InputError, match=r"image 0, polygon 1: found an outline that is .* pixels long"):
        reading.maps(READER, path)


def test_a_file_that_unpacks_to_more_than_anybody_draws_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("stages.exchange.readers.cvat.MOST_BYTES", 1 << 20)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.xml", b"<annotations>" + b" " * (3 << 20) + b"</annotations>")
    with pytest.raises(InputError, match="expected at most"):
        list(READER.pictures(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("README.txt", b"")
    with pytest.raises(InputError, match=r"found no annotations.xml in it"):
        list(READER.pictures(path))
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError):
        list(READER.pictures(path))
    with pytest.raises(InputError, match="no such file"):
        list(READER.pictures(tmp_path / "nowhere.xml"))
