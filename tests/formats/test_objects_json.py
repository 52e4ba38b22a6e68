"""objects.json and classes.json: what may be said, how what may not is told, and what is kept of a person's file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import InputError
from stages.formats.classes_json import CLASSES_JSON, ListedClass, read_classes
from stages.formats.objects_json import OBJECTS_JSON, NamedObject, read_objects, write_objects

REX = {
    "id": 1,
    "name": "Rex",
    "class": "dog",
    "colour": "#8000FF",
    "first": 0,
    "last": 59,
    "attributes": {"occluded": False, "age": 3, "coat": "rough", "weight_kg": 12.5},
}


def said(folder: Path, *objects: Any, **others: Any) -> Path:
    """Write a file of objects."""
    whole = {"schema": 1, "sequence": "dog", "objects": list(objects), **others}
    (folder / OBJECTS_JSON).write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")
    return folder


def listed(folder: Path, *classes: Any, **others: Any) -> Path:
    """Write a file of classes."""
    (folder / CLASSES_JSON).write_text(json.dumps({"schema": 1, "classes": list(classes), **others}), encoding="utf-8")
    return folder


def refused(folder: Path, frame_count: int = 60) -> str:
    """The line that refuses a file of objects."""
    with pytest.raises(InputError) as error:
        read_objects(folder, "dog", frame_count, read_classes(folder))
    line = str(error.value)
    assert line.startswith(str(folder))
    assert "\n" not in line
    return line


def test_an_object_is_what_the_file_says(tmp_path: Path) -> None:
    rex = read_objects(said(tmp_path, REX), "dog", 60).of(1)
    assert rex == NamedObject(1, "Rex", "dog", "#8000ff", 0, 59, REX["attributes"])  # type: ignore[arg-type]
    assert [type(value) for value in rex.attributes.values()] == [bool, int, str, float]


def test_what_is_not_said_has_a_default(tmp_path: Path) -> None:
    nobody = read_objects(tmp_path, "dog", 60)
    assert not nobody.listed
    assert nobody.of(2) == NamedObject(2, "object 2", "object", "#008000")
    some = read_objects(said(tmp_path, {"id": 3, "class": "dog"}, {"id": 4}), "dog", 60)
    assert some.of(3) == NamedObject(3, "dog 3", "dog", "#808000")
    assert some.of(4).name == "object 4"
    assert some.of(5).name == "object 5"


def test_a_default_name_is_nobody_elses(tmp_path: Path) -> None:
    objects = read_objects(said(tmp_path, {"id": 1, "name": "object 2"}), "dog", 60)
    assert objects.of(2).name == "object 2 (2)"
    assert objects.called("object 2") == objects.of(1)


def test_names_are_of_any_language(tmp_path: Path) -> None:
    names = ["Müller", "犬", "<b>&\"'`</b>", "ריקי", "🐕‍🦺", "a", "x" * 100]
    entries = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    objects = read_objects(said(tmp_path, *entries), "dog", 60)
    assert [objects.of(number).name for number in range(1, len(names) + 1)] == names
    assert objects.called("Müller") == objects.of(1)  # as a Mac spells it


def test_a_mark_at_the_beginning_of_the_file_is_passed_over(tmp_path: Path) -> None:
    path = said(tmp_path, REX) / OBJECTS_JSON
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_objects(tmp_path, "dog", 60).of(1).name == "Rex"


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ({"nmae": "Rex"}, "found the key 'nmae' in objects[0], did you mean 'name'? expected id, name, class"),
        ({"id": 0}, "found 0 as 'id' in objects[0], expected a whole number in 1..254"),
        ({"id": 255}, "found 255 as 'id' in objects[0], expected a whole number in 1..254"),
        ({"id": True}, "found True as 'id' in objects[0]"),
        ({"id": "1"}, "found '1' as 'id' in objects[0]"),
        ({"name": ""}, "found '' as 'name' in objects[0], expected text of 1 to 100 characters"),
        ({"name": " "}, "found ' ' as 'name' in objects[0]"),
        ({"name": "x" * 101}, "as 'name' in objects[0], expected text of 1 to 100"),
        ({"name": "a\nb"}, r"found 'a\nb' as 'name' in objects[0]"),
        ({"name": "a\x9fb"}, r"found 'a\x9fb' as 'name' in objects[0]"),
        ({"name": "a\u2028b"}, r"found 'a\u2028b' as 'name' in objects[0]"),
        ({"class": "\0"}, r"found '\x00' as 'class' in objects[0], expected text"),
        ({"colour": "red"}, "found 'red' as 'colour' in objects[0], expected a colour like '#800000'"),
        ({"first": -1}, "found -1 as 'first' in objects[0], expected a frame number"),
        ({"first": 1.0}, "found 1.0 as 'first' in objects[0]"),
        ({"first": 9, "last": 8}, "found object 1 on the frames 9 to 8, expected 'first' <= 'last' within 0..59"),
        ({"last": 60}, "found object 1 on the frames 0 to 60"),
        ({"first": 60, "last": None}, "found object 1 on the frames 60 to 59"),
        ({"attributes": {"a": None}}, "found None as 'attributes', 'a' in objects[0], expected {'occluded'"),
        ({"attributes": {"": 1}}, "as 'attributes', '' in objects[0]"),
        ({"attributes": {"a": "b\0"}}, "as 'attributes', 'a' in objects[0]"),
        ({"attributes": []}, "found [] as 'attributes' in objects[0]"),
    ],
)
def test_what_an_object_cannot_be_is_told_with_its_place(tmp_path: Path, entry: dict[str, Any], line: str) -> None:
    assert line in refused(said(tmp_path, {**REX, **entry}))


def test_what_a_file_cannot_be_is_told(tmp_path: Path) -> None:
    assert "found schema 2, expected 1; update the program" in refused(said(tmp_path, REX, schema=2))
    assert "found schema True, expected 1" in refused(said(tmp_path, REX, schema=True))
    assert "found objects of the sequence 'cat', expected 'dog'" in refused(said(tmp_path, REX, sequence="cat"))
    assert "found the key 'object', did you mean 'objects'?" in refused(said(tmp_path, REX, object=1))
    assert "found the id 1 twice" in refused(said(tmp_path, REX, REX))
    assert "found the name 'Rex' twice" in refused(said(tmp_path, REX, {"id": 2, "name": "Rex"}))
    assert "found the name 'dog 2' twice" in refused(
        said(tmp_path, {"id": 1, "name": "dog 2"}, {"id": 2, "class": "dog"})
    )
    assert "expected a list of 254 objects" in refused(said(tmp_path, *({"id": number} for number in range(255))))
    assert "expected an object with the keys schema" in refused(write(tmp_path, b"[1]"))
    assert "found nothing as 'schema'" in refused(write(tmp_path, b'{"sequence": "dog", "objects": []}'))
    assert "found nothing as 'id' in objects[0]" in refused(said(tmp_path, {"name": "Rex"}))
    assert "expected JSON" in refused(write(tmp_path, b'{"schema": 1,'))
    twice = b'{"schema": 1, "schema": 1}'
    assert "found the key 'schema' twice, expected JSON" in refused(write(tmp_path, twice))
    assert "no UTF-8" in refused(write(tmp_path, b'{"sequence": "\xff"}'))
    assert "found 1,048,577 bytes, expected at most 1,048,576" in refused(write(tmp_path, b" " * (2**20 + 1)))
    surrogate = b'{"schema": 1, "sequence": "dog", "objects": [{"id": 1, "name": "\\ud800"}]}'
    assert "as 'name' in objects[0]" in refused(write(tmp_path, surrogate))
    folder = tmp_path / "folder"
    (folder / OBJECTS_JSON).mkdir(parents=True)
    assert "cannot be read" in refused(folder)


def write(folder: Path, content: bytes) -> Path:
    """Write a file of objects as it is."""
    (folder / OBJECTS_JSON).write_bytes(content)
    return folder


def test_254_objects_are_taken(tmp_path: Path) -> None:
    objects = read_objects(said(tmp_path, *({"id": number} for number in range(1, 255))), "dog", 60)
    assert len(objects.listed) == 254


def test_a_class_is_one_of_the_data_set(tmp_path: Path) -> None:
    listed(tmp_path, {"id": 1, "name": "dog"}, {"id": 2, "name": "cat"})
    said(tmp_path, {"id": 1, "class": "dog"}, {"id": 2})
    assert read_objects(tmp_path, "dog", 60, read_classes(tmp_path)).of(1).class_name == "dog"
    line = refused(said(tmp_path, {"id": 1, "class": "dgo"}))
    assert "found the class 'dgo' of object 1, expected one of classes.json: did you mean 'dog'?" in line


def test_the_digest_is_that_of_what_is_said(tmp_path: Path) -> None:
    one = read_objects(said(tmp_path, REX), "dog", 60)
    (tmp_path / OBJECTS_JSON).write_text(json.dumps(json.loads((tmp_path / OBJECTS_JSON).read_text()), indent=4))
    assert read_objects(tmp_path, "dog", 60).digest == one.digest
    assert read_objects(said(tmp_path, {**REX, "name": "Max"}), "dog", 60).digest != one.digest


def test_an_object_may_be_between_its_first_and_its_last_frame() -> None:
    assert [NamedObject(1, "a", first=1, last=2).may_be_on(index) for index in range(4)] == [False, True, True, False]
    assert NamedObject(1, "a").may_be_on(10**6)


# --- writing ---------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rex = NamedObject(1, "<Rex> & 犬", "dog", "#123456", 3, None, {"a": True, "b": "ü"})
    write_objects(tmp_path / "new", "dog", 60, [rex, NamedObject(7, "object 7", colour="#808080")])
    objects = read_objects(tmp_path / "new", "dog", 60)
    assert objects.of(1) == rex
    assert [*objects.listed] == [1, 7]


def test_a_persons_file_keeps_what_nobody_changed(tmp_path: Path) -> None:
    said(tmp_path, REX, {"id": 2, "class": "cat"})
    objects = read_objects(tmp_path, "dog", 60)
    write_objects(tmp_path, "dog", 60, [replace(objects.of(1), name="Max"), objects.of(2)])
    assert json.loads((tmp_path / OBJECTS_JSON).read_text())["objects"] == [
        {**REX, "name": "Max"},
        {"id": 2, "class": "cat"},
    ]


def test_what_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    before = (said(tmp_path, REX) / OBJECTS_JSON).read_bytes()
    for wrong in ([NamedObject(1, "a\nb")], [NamedObject(1, "\ud800")], [NamedObject(1, "a"), NamedObject(2, "a")]):
        with pytest.raises(InputError):
            write_objects(tmp_path, "dog", 60, wrong)
    assert (tmp_path / OBJECTS_JSON).read_bytes() == before


# --- classes ---------------------------------------------------------------------------------------------------------


def test_classes_are_what_the_file_says(tmp_path: Path) -> None:
    assert read_classes(tmp_path) is None
    dog = {"id": 3, "name": "dog", "supercategory": "animal", "colour": "#ABCDEF"}
    classes = read_classes(listed(tmp_path, dog, {"id": 1, "name": "猫"}))
    assert classes is not None
    assert [*classes] == [ListedClass(1, "猫", "", "#800000"), ListedClass(3, "dog", "animal", "#abcdef")]
    assert classes.called("dog") == classes.listed[1]
    assert classes.called("cow") is None


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        ([{"id": 0, "name": "a"}], "found 0 as 'id' in classes[0]"),
        ([{"id": 1}], "found nothing as 'name' in classes[0]"),
        ([{"id": 1, "name": "a"}, {"id": 1, "name": "b"}], "found the id 1 twice"),
        ([{"id": 1, "name": "a"}, {"id": 2, "name": "a"}], "found the name 'a' twice"),
        ([{"id": 1, "name": "a", "color": "#800000"}], "found the key 'color' in classes[0], did you mean 'colour'?"),
        ([{"id": 1, "name": "a\t"}], r"found 'a\t' as 'name' in classes[0]"),
        ([{"id": 1, "name": "a", "supercategory": 3}], "found 3 as 'supercategory' in classes[0]"),
        ([], "found an empty list of classes"),
    ],
)
def test_what_classes_cannot_be_is_told(tmp_path: Path, entries: list[Any], line: str) -> None:
    assert line in refused(listed(tmp_path, *entries))
    assert "found schema 2, expected 1; update the program" in refused(listed(tmp_path, schema=2))
