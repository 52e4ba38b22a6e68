"""The smaller files: frames.json, anchors.json, network.json, evaluation.json, a night's summary, refined folders."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from stages.core.errors import InputError, StageError
from stages.core.plan import Plan
from stages.core.states import Source
from stages.formats.anchors_json import write_plan
from stages.formats.evaluation import Evaluation, ScoredFrame, write_truth
from stages.formats.frames_csv import FrameQuality, read_frames_csv
from stages.formats.frames_json import FramesJson
from stages.formats.masks import read_mask
from stages.formats.own_network import OwnNetwork, own_folder, own_networks, read_own_network, write_own_network
from stages.formats.refined import RefinedWriter, area_px, refined_masks

# --- frames.json -----------------------------------------------------------------------------------------------------

FRAMES = FramesJson((854, 480), [("00000.jpg", "ab" * 32), ("00001.jpg", "cd" * 32)])


def test_frames_come_back(tmp_path: Path) -> None:
    FRAMES.write(tmp_path)
    assert FramesJson.read(tmp_path) == FRAMES
    assert json.loads((tmp_path / "frames.json").read_text())["size_wh"] == [854, 480]


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"size_wh": [3], "frames": []}', '{"size_wh": [3, 4]}', '{"schema": "x"}']
)
def test_damaged_frames_are_a_clear_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "frames.json").write_text(content)
    with pytest.raises(StageError, match=r"frames\.json: .*(delete the folder|make it again)"):
        FramesJson.read(tmp_path)


def test_missing_frames_are_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"frames\.json: cannot be read"):
        FramesJson.read(tmp_path)


def test_frames_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    FRAMES.write(tmp_path)
    path = tmp_path / "frames.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 2}))
    with pytest.raises(StageError, match=r"frames\.json: found version 2 .* newer version of LIS"):
        FramesJson.read(tmp_path)


# --- anchors.json ----------------------------------------------------------------------------------------------------


def test_the_plan_is_written_for_people(tmp_path: Path) -> None:
    write_plan(tmp_path, Plan(12, (2, 3, 8), (8,)))
    assert json.loads((tmp_path / "anchors.json").read_text()) == {
        "frame_count": 12,
        "anchors": [2, 3, 8],
        "requested": [8],
        "segments": [
            {"name": "00000-00002", "left": None, "right": 2, "frames": 2},
            {"name": "00003-00008", "left": 3, "right": 8, "frames": 4},
            {"name": "00008-00011", "left": 8, "right": None, "frames": 3},
        ],
    }


# --- network.json ----------------------------------------------------------------------------------------------------

MINE = OwnNetwork("fbrs:mine", "lite", "ef" * 32, "CC BY 4.0", {"iou": 0.9})


def installed(root: Path, network: OwnNetwork = MINE) -> Path:
    folder = own_folder(root, network.engine)
    folder.mkdir(parents=True)
    write_own_network(folder, network)
    return folder


def test_a_network_of_a_users_comes_back(tmp_path: Path) -> None:
    folder = installed(tmp_path)
    assert folder == tmp_path / "own" / "fbrs" / "mine"
    assert read_own_network(folder) == MINE
    assert read_own_network(installed(tmp_path, OwnNetwork("fbrs:bare", "lite", "", ""))).figures == {}


def test_networks_are_listed_by_name_and_engine(tmp_path: Path) -> None:
    assert list(own_networks(tmp_path, "fbrs")) == []
    other = OwnNetwork("fbrs:alpha", "lite", "", "")
    for network in (MINE, other, OwnNetwork("match:mine", "lite", "", "")):
        installed(tmp_path, network)
    (tmp_path / "own" / "fbrs" / "begun").mkdir()
    assert list(own_networks(tmp_path, "fbrs")) == [other, MINE]


@pytest.mark.parametrize("name", ["fbrs", "fbrs:", "fbrs:Mine", "fbrs:../x", ":mine", "fbrs:" + "x" * 33, "fbrs:-a"])
def test_a_name_that_is_no_folders_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="network of your own"):
        own_folder(tmp_path, name)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 1}', '{"schema": 1, "colour": "red"}'])
def test_a_damaged_description_is_a_clear_error(tmp_path: Path, content: str) -> None:
    folder = installed(tmp_path)
    (folder / "network.json").write_text(content)
    with pytest.raises(InputError, match=r"network\.json: found no description .* train the network again"):
        read_own_network(folder)


@pytest.mark.parametrize("schema", [2, "1"])
def test_a_network_of_a_newer_version_is_refused(tmp_path: Path, schema: object) -> None:
    folder = installed(tmp_path)
    path = folder / "network.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": schema}))
    with pytest.raises(InputError, match=rf"network\.json: found the schema {schema}, .* newer version of LIS"):
        read_own_network(folder)


# --- evaluation.json and .csv ----------------------------------------------------------------------------------------


def test_scores_come_back_with_every_digit(tmp_path: Path) -> None:
    rows = [
        ScoredFrame(0, "00000.jpg", 1, 1 / 3, 2 / 3, math.nan, math.nan),
        ScoredFrame(1, "a,b.jpg", 2, 0.0, 1.0, 0.1 + 0.2, 0.5),
    ]
    Evaluation({"mean": {"J": 1 / 7}}, rows).write(tmp_path)
    back = Evaluation.read(tmp_path)
    assert back.summary == {"mean": {"J": 1 / 7}}
    assert repr(back.rows) == repr(rows)


@pytest.mark.parametrize("damage", ["no json", "no csv", "another column", "no number"])
def test_damaged_scores_are_a_clear_error(tmp_path: Path, damage: str) -> None:
    Evaluation({}, [ScoredFrame(0, "00000.jpg", 1, 0.5, 0.5, 0.5, 0.5)]).write(tmp_path)
    table_file = tmp_path / "evaluation.csv"
    if damage == "no json":
        (tmp_path / "evaluation.json").unlink()
    elif damage == "no csv":
        table_file.unlink()
    elif damage == "another column":
        table_file.write_text(table_file.read_text().replace("jaccard", "jackard"))
    else:
        table_file.write_text(table_file.read_text().replace("0.5", "half"))
    with pytest.raises(StageError, match="no table of scores"):
        Evaluation.read(tmp_path)


def test_the_truth_says_its_objects_and_what_it_was_read_from(tmp_path: Path) -> None:
    write_truth(tmp_path, (1, 4), {"masks": [["00000.png", "ab"]]})
    assert json.loads((tmp_path / "truth.json").read_text()) == {"objects": [1, 4], "masks": [["00000.png", "ab"]]}


# --- refined folders -------------------------------------------------------------------------------------------------


def test_refined_frames_come_back_in_order(tmp_path: Path) -> None:
    writer = RefinedWriter(tmp_path)
    labels = {index: np.full((4, 6), index % 3, np.uint8) for index in (9, 10, 100_000)}
    rows = []
    for index, each in labels.items():
        row = FrameQuality(index, 1, 1.0, 0.5, Source.BOTH, True, "", area_px(each, 1))
        writer.append(index, each, [row])
        rows.append(row)
    writer.close()
    assert read_frames_csv(tmp_path) == rows
    assert [row.area_px for row in rows] == [0, 24, 24]
    masks = dict(refined_masks(tmp_path))
    assert sorted(masks) == sorted(labels)
    for index, path in masks.items():
        np.testing.assert_array_equal(read_mask(path), labels[index])
