"""Masks go out to a tool, one is corrected there, and comes back."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.core.errors import InputError
from stages.exchange.incoming.composing import Objects
from stages.exchange.incoming.formats import guess, reader_of
from stages.exchange.incoming.importing import Target, Wishes, give, look
from stages.exchange.incoming.matching import FrameNames
from stages.exchange.outgoing import formats
from stages.exchange.outgoing.handed_out import digest_of, read_handed_out, write_handed_out
from stages.exchange.outgoing.terms import Terms
from stages.formats.given_masks import given_frames, read_given
from stages.formats.masks import write_mask
from tests.exchange import adversarial
from tests.exchange.corrected import BY_TOOL, by_cvat
from tests.exchange.driver import export


def _target(sample: adversarial.Sample, folder: Path) -> Target:
    """A sequence whose result are the sample's masks."""
    result = folder / "masks"
    result.mkdir(parents=True)
    frames = [*sample.frames()]
    for frame in frames:
        if frame.labels is not None:
            write_mask(result / f"{frame.index:05d}.png", frame.labels)
    names = FrameNames(sample.sequence.name, tuple(frame.name for frame in frames))
    objects = Objects(frozenset(each.id for each in sample.sequence.objects))
    return Target(names, sample.sequence.size_wh, folder / "Scribbles" / "001.json", result, objects)


@pytest.mark.parametrize("tool", BY_TOOL)
def test_a_mask_that_was_corrected_in_a_tool_is_given_and_no_other(tool: str, tmp_path: Path) -> None:
    sample = adversarial.two_objects()
    target = _target(sample, tmp_path / "seq")
    folder = export(formats.find(tool), {"train": [sample]}, tmp_path / "out", pictures=True)
    corrected = sample.kept[3].copy()
    corrected[30:38, 8:14], corrected[34:36, 20:40] = 0, 1
    source = BY_TOOL[tool](folder, sample.sequence.name, "00003.jpg", corrected)
    assert guess(source).name == tool
    found = look(reader_of(tool), source, target, Wishes())
    assert (found.looked_at, [each.frame for each in found.arrivals]) == (5, [3])
    assert found.said == []
    give(found, target, [np.zeros((*target.size_wh[::-1], 3), np.uint8)] * 5)
    assert [*given_frames(target.scribble_file)] == [3]
    given = read_given(given_frames(target.scribble_file)[3], target.size_wh)
    assert np.array_equal(given, corrected), "byte for byte"


@pytest.mark.parametrize("tool", BY_TOOL)
@pytest.mark.parametrize(
    "make", [adversarial.two_objects, adversarial.crowd, adversarial.holes, adversarial.come_and_go]
)
def test_what_nobody_corrected_changes_nothing(make, tool: str, tmp_path: Path) -> None:
    sample = make()
    target = _target(sample, tmp_path / "seq")
    folder = export(formats.find(tool), {"train": [sample]}, tmp_path / "out")
    source = folder if tool == "labelme" else folder / sample.sequence.name
    assert look(reader_of(tool), source, target, Wishes()).arrivals == []


def test_a_mask_that_comes_back_as_it_went_out_is_no_correction_though_the_result_is_another_by_then(
    tmp_path: Path,
) -> None:
    sample = adversarial.two_objects()
    target = _target(sample, tmp_path / "seq")
    folder = export(formats.find("cvat"), {"train": [sample]}, tmp_path / "out")
    corrected = np.roll(sample.kept[4], 3, axis=0)
    source = by_cvat(folder, sample.sequence.name, "00004.jpg", corrected)
    for index in (0, 1):  # what came back before has changed the frames around it
        write_mask(tmp_path / "seq" / "masks" / f"{index:05d}.png", np.roll(sample.kept[index], 2, axis=1))
    went_out = [(sample.sequence.name, index, digest_of(labels)) for index, labels in enumerate(sample.kept)]
    write_handed_out(tmp_path / "out", went_out, former=tmp_path / "nowhere")
    target = replace(target, handed_out=read_handed_out([tmp_path / "out"], sample.sequence.name))
    found = look(reader_of("cvat"), source, target, Wishes())
    assert [each.frame for each in found.arrivals] == [4]
    assert "as they went out, though the result is another one now: 0, 1; nobody has corrected them" in found.said[0]
    named = look(reader_of("cvat"), source, target, Wishes(frames=frozenset({1})))
    assert [each.frame for each in named.arrivals] == [1]


def test_what_an_export_handed_out_is_known_still_when_it_is_made_anew(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    write_handed_out(tmp_path / "first", [("a/dog", 3, "aa"), ("dog", 3, "bb")], former=tmp_path / "nowhere")
    write_handed_out(tmp_path / "second", [("dog", 3, "cc"), ("dog", 12, "dd")], former=tmp_path / "first")
    found = read_handed_out([tmp_path / "second", tmp_path / "nowhere"], "dog")
    assert found == {3: {"bb", "cc"}, 12: {"dd"}}


def test_what_nobody_knows_takes_the_nearest_value_when_it_comes_back(tmp_path: Path) -> None:
    sample = adversarial.tiny(unknown=True)
    known = adversarial.tiny()
    for tool in BY_TOOL:
        target = _target(known, tmp_path / tool / "seq")
        folder = export(formats.find(tool), {"train": [sample]}, tmp_path / tool / "out", Terms(unknown_band=1))
        source = folder if tool == "labelme" else folder / "tiny"
        found = look(reader_of(tool), source, target, Wishes())
        assert found.arrivals == []
        assert found.said == ["3 pixels unknown (255): they took the id of the nearest other pixel"]


def test_of_three_cameras_with_the_same_names_only_the_sequences_own_masks_come_in(tmp_path: Path) -> None:
    cameras = [adversarial.one_object() for _ in range(3)]
    images = []
    for number, camera in enumerate(cameras):
        shifted = [np.roll(labels, 3 * number, axis=1) for labels in camera.kept]
        name = f"cam{number}"
        cameras[number] = adversarial.Sample(replace(camera.sequence, name=name), tuple(shifted))
        folder = export(formats.find("cvat"), {"train": [cameras[number]]}, tmp_path / name)
        text = (folder / name / "annotations.xml").read_text("utf-8")
        images.append(
            text.partition("</meta>")[2].partition("</annotations>")[0].replace('name="0', f'name="cams\\{name}\\0')
        )
    path = tmp_path / "annotations.xml"
    path.write_text(f"<annotations>{''.join(images)}</annotations>", "utf-8")
    target = replace(_target(cameras[1], tmp_path / "seq"), result=None)
    found = look(reader_of("cvat"), path, target, Wishes())
    assert [np.array_equal(each.labels((48, 36)), cameras[1].kept[each.frame]) for each in found.arrivals] == [True] * 4
    assert found.said == ["8 other pictures left out, which lie in cams/cam0, cams/cam2"]


def test_pictures_that_label_studio_renamed_are_found_also_where_its_prefix_is_a_number(tmp_path: Path) -> None:
    sample = adversarial.one_object()
    target = replace(_target(sample, tmp_path / "seq"), result=None)
    prefix = "https://studio.example.org/data/upload/4/"
    folder = export(formats.find("labelstudio"), {"train": [sample]}, tmp_path / "out", Terms(url_prefix=prefix))
    path = folder / "one" / "label_studio.json"
    text = path.read_text("utf-8")
    for name, uploaded in (
        ("one/00000.jpg", "3d00c1f2-00000.jpg"),
        ("one/00001.jpg", "00000003-00001.jpg"),
        ("one/00002.jpg", "10000000-00002.jpg"),
    ):
        assert name in text
        text = text.replace(name, uploaded)
    path.write_text(text, "utf-8")
    found = look(reader_of("labelstudio"), path, target, Wishes())
    assert [(each.frame, each.changed_px) for each in found.arrivals] == [
        (index, int((labels > 0).sum())) for index, labels in enumerate(sample.kept)
    ]


@pytest.mark.parametrize("tool", ["cvat", "labelme", "labelstudio"])
def test_a_document_decides_whatever_pictures_lie_beside_it(tool: str, tmp_path: Path) -> None:
    sample = adversarial.two_objects()
    folder = export(formats.find(tool), {"train": [sample]}, tmp_path / "out", Terms(), pictures=True)
    for path in [*folder.rglob("*.jpg")]:
        path.rename(path.with_suffix(".png"))
    for source in (folder, folder / sample.sequence.name):
        assert guess(source).name == tool
        names = [picture.name for picture in guess(source).pictures(source)]
        assert len(names) == 5
    (folder / "0007").mkdir()
    write_mask(folder / "0007" / "00000.png", sample.kept[0])
    assert guess(folder).name == tool


def test_what_label_studio_has_exported_goes_before_the_tasks_that_it_was_given(tmp_path: Path) -> None:
    sample = adversarial.two_objects()
    folder = export(formats.find("labelstudio"), {"train": [sample]}, tmp_path / "out") / sample.sequence.name
    tasks = (folder / "label_studio.json").read_text("utf-8")
    (folder / "project-1.json").write_text(json.dumps(json.loads(tasks)[:2]), "utf-8")
    reader = reader_of("labelstudio")
    assert [picture.where for picture in reader.pictures(folder)] == [
        "project-1.json, task 1",
        "project-1.json, task 2",
    ]
    (folder / "project-2.json").write_text(tasks, "utf-8")
    with pytest.raises(InputError, match=r"found several exports \(project-1\.json, project-2\.json\), expected one"):
        [*reader.pictures(folder)]
