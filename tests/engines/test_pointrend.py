"""PointRend as an engine, and the published file that it needs."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stages.core.errors import InputError, WeightsError
from stages.engines import inventory, registry
from stages.engines.refiners.pointrend.heads import MaskHead
from stages.engines.refiners.pointrend.network import CLASSES, PointRend
from stages.engines.refiners.pointrend.points import of_boxes, sample
from stages.engines.refiners.pointrend.things import Things
from stages.formats.checkpoints import read_checkpoint

NAME = "pointrend:coco_r50"


# -- the published file ------------------------------------------------------------------------------------------------


def published(path: Path, state: object, protocol: int = 2) -> Path:
    """What detectron2's authors upload."""
    with path.open("wb") as file:
        pickle.dump({"model": state, "__author__": "somebody"}, file, protocol=protocol)
    return path


@pytest.mark.parametrize("protocol", range(2, 6))
def test_arrays_of_a_pickle_are_read(tmp_path: Path, protocol: int) -> None:
    arrays = {
        "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "turned": np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
        "other": np.arange(3, dtype=">i4"),
        "one": np.array(7, np.int64),
        "half": np.ones((1, 2), np.float16),
    }
    state = read_checkpoint(published(tmp_path / "model.pkl", OrderedDict(arrays), protocol))
    assert list(state) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(state[name].numpy(), array)


class _Calls:
    """Something that calls a function when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_that_calls_something_is_refused_and_not_obeyed(tmp_path: Path, protocol: int) -> None:
    witness = tmp_path / "witness"
    for call in (_Calls(Path.touch, witness), _Calls(eval, f"open({str(witness)!r}, 'w')"), _Calls(np.fromfile, "x")):
        with pytest.raises(WeightsError, match="Nothing in it was executed"):
            read_checkpoint(published(tmp_path / "model.pkl", {"a": call}, protocol))
    assert not witness.exists()


def doubled(times: int) -> dict[str, Any]:
    """Small in a pickle, which writes each dict once, and twice as large with each level outside of it."""
    inner = doubled(times - 1) if times else {}
    return {"a": inner, "b": inner}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"a": np.array([{}, None], object)}, "cannot be read"),
        ({"a": np.array(["word"])}, "cannot be read"),
        ({"a": np.array([1 + 2j])}, "cannot be read"),
        ({"a": [1.0, 2.0]}, "expected a name with a dense tensor"),
        ({"a": np.array([np.nan], np.float32)}, "infinite or undefined"),
        ([np.zeros(3)], "no state dict"),
        (doubled(16), "cannot be read"),
    ],
    ids=["objects", "words", "complex", "a list", "nan", "no dict", "much from little"],
)
def test_what_is_no_tensor_is_refused(tmp_path: Path, state: object, said: str) -> None:
    with pytest.raises(WeightsError, match=said):
        read_checkpoint(published(tmp_path / "model.pkl", state))


def test_damaged_pickles_are_refused(tmp_path: Path) -> None:
    path = published(tmp_path / "model.pkl", {"a": np.arange(50, dtype=np.float32)})
    content = path.read_bytes()
    for damaged in (b"", content[:-1], content[: len(content) // 2], b"no pickle", content.replace(b"f4", b"f8")):
        path.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"model\.pkl cannot be read"):
            read_checkpoint(path)


def test_a_pickle_cannot_change_what_reads_it(tmp_path: Path) -> None:
    """`BUILD` sets attributes of whatever lies on the stack, a function for instance."""
    for name in (b"cnumpy\ndtype\n", b"c_codecs\nencode\n", b"ccollections\nOrderedDict\n"):
        (tmp_path / "model.pkl").write_bytes(b"\x80\x02" + name + b"N}X\x01\x00\x00\x00aK\x01s\x86b.")
        with pytest.raises(WeightsError, match="UnpicklingError"):
            read_checkpoint(tmp_path / "model.pkl")


# -- the conversion ----------------------------------------------------------------------------------------------------


class Small(nn.Module):
    """Named as the network, and small."""

    def __init__(self) -> None:
        super().__init__()
        head = nn.ModuleDict({"fc1": nn.Linear(2, 1), "point_head": nn.Linear(1, 1)})
        self.roi_heads = nn.ModuleDict(
            {"mask_head": nn.ModuleDict({"coarse_head": head, "point_head": nn.Linear(1, 1)})}
        )

    adapted = PointRend.adapted


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """A state of a network that stands in for the large one."""
    monkeypatch.setattr(registry, "build_network", lambda *_: Small())
    return {name: value.numpy() for name, value in Small().state_dict().items()}


def test_a_published_file_becomes_the_engine_s(tmp_path: Path, small: dict[str, np.ndarray]) -> None:
    """With what the network has no use for, and with the names of former versions."""
    unused = {"proposal_generator.rpn_head.conv.weight": np.zeros(2, np.float32), "pixel_mean": np.zeros(3, np.float32)}
    former = {
        name.replace("mask_head.coarse_head.fc", "mask_coarse_head.coarse_mask_fc"): value
        for name, value in small.items()
    }
    assert former.keys() != small.keys()
    root = tmp_path / "weights"
    for state in (small, former):
        made = inventory.convert(NAME, published(tmp_path / "model.pkl", state | unused), root)
        assert made == root / "pointrend_coco_r50.safetensors"
        loaded = registry.load_network(NAME, root).state_dict()
        assert {name: value.tolist() for name, value in loaded.items()} == {n: v.tolist() for n, v in small.items()}


def test_what_cannot_be_converted_is_said_and_nothing_written(tmp_path: Path, small: dict[str, np.ndarray]) -> None:
    root = tmp_path / "weights"
    other = published(tmp_path / "model.pkl", {"backbone.weight": np.zeros(2, np.float32)})
    with pytest.raises(WeightsError, match=r"does not fit .* missing: roi_heads.*lis weights convert"):
        inventory.convert(NAME, other, root)
    with pytest.raises(
        InputError, match=r"nothing.pkl: found no such file, expected the published model_final_edd263.pkl"
    ):
        inventory.convert(NAME, tmp_path / "nothing.pkl", root)
    for name in ("cascadepsp:official", "guided"):
        with pytest.raises(InputError, match="nothing is to be converted"):
            inventory.convert(name, other, root)
    assert not root.exists()


# -- the engine --------------------------------------------------------------------------------------------------------


class Drawing(nn.Module):
    """In the place of the network: of class 3 it draws what `shown` holds of the box, of all others nothing."""

    def __init__(self, shown: np.ndarray) -> None:
        super().__init__()
        self.shown = nn.Parameter(torch.from_numpy(shown.astype(np.float32))[None, None], requires_grad=False)
        self.mask_head = DrawingHead(self.shown)
        self.pictures: list[tuple[int, ...]] = []

    def p2(self, picture: Tensor) -> Tensor:
        self.pictures.append(tuple(picture.shape))
        height, width = picture.shape[-2:]
        return torch.zeros(1, 256, -(-height // 32) * 8, -(-width // 32) * 8)


class DrawingHead(MaskHead):
    def __init__(self, shown: Tensor) -> None:
        nn.Module.__init__(self)  # the layers are large, and not used
        self._shown = shown

    def coarse(self, p2: Tensor, boxes: Tensor) -> Tensor:
        return torch.zeros(len(boxes), CLASSES, 7, 7)

    def predict(self, p2: Tensor, boxes: Tensor, coarse: Tensor, points: Tensor) -> Tensor:
        scale = torch.tensor([p2.shape[3] * 4.0, p2.shape[2] * 4.0])
        found = sample(self._shown.expand(len(boxes), -1, -1, -1), of_boxes(points, boxes) / scale)
        logits = torch.full((len(boxes), CLASSES, points.shape[1]), -9.0)
        logits[:, 3] = 18 * found[:, 0] - 9
        return logits


def disc(radius: float, x: float = 128, y: float = 100) -> np.ndarray:
    rows, columns = np.mgrid[:200, :256] + 0.5
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def refined(shown: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, Drawing]:
    network = Drawing(shown)
    engine = Things(network, device="cpu")
    frame = np.random.default_rng(0).integers(0, 256, (*given.shape, 3), np.uint8)
    return engine.refine(frame, given.astype(np.float32)), network


def test_near_the_boundary_the_mask_is_what_the_network_draws() -> None:
    truth = disc(60)
    given = (truth & ~disc(4, 128, 41)) | disc(4, 128, 161)
    assert np.count_nonzero(given ^ truth) > 50
    result, network = refined(truth, given)
    assert np.count_nonzero((result > 0.5) ^ truth) < 10
    assert network.pictures == [(1, 3, 800, 1024)]


def test_a_mask_that_the_network_does_not_know_stays() -> None:
    given = disc(60)
    result, _ = refined(disc(30), given)
    np.testing.assert_array_equal(result, given.astype(np.float32))


def test_nothing_changes_far_from_the_boundary() -> None:
    given = disc(60)
    result, _ = refined(given & ~disc(20), given)
    far = disc(50) | ~disc(70)
    np.testing.assert_array_equal(result[far], given[far].astype(np.float32))


def test_objects_of_a_frame_share_its_features() -> None:
    network = Drawing(disc(60))
    engine = Things(network, device="cpu")
    frame = np.zeros((200, 256, 3), np.uint8)
    for mask in (disc(60), disc(50)):
        engine.refine(frame, mask.astype(np.float32))
    assert len(network.pictures) == 1
    frame[0, 0] = 1
    engine.refine(frame, disc(60).astype(np.float32))
    assert len(network.pictures) == 2


@pytest.mark.slow
def test_with_arbitrary_weights_of_the_real_network(tmp_path: Path) -> None:
    """The network's own path, from picture to mask; that it draws what is asked is seen to by the fixtures."""
    from tests.parity.filled import fill

    built = fill(registry.build_network("pointrend_coco_r50"))
    assert isinstance(built, PointRend)
    engine = Things(built, device="cpu")
    frame, given = np.random.default_rng(0).integers(0, 256, (90, 130, 3), np.uint8), np.zeros((90, 130), np.float32)
    given[20:70, 30:100] = 1
    first = engine.refine(frame, given)
    assert first.shape == given.shape and first.dtype == np.float32 and 0 <= first.min() <= first.max() <= 1
    np.testing.assert_array_equal(first, engine.refine(frame, given))
