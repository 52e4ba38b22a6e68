"""STM against what the authors' model computed. Fixtures, weights, inputs and tolerances: the reference's stm/."""

import gzip
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from stages.core.types import Anchor
from stages.engines.propagators.stm.engine import Stm, rearranged
from stages.engines.propagators.stm.network import STM, Memory, affinities, aggregate, padded, read
from stages.engines.registry import build_network
from tests.parity.filled import fill, picture

HERE = Path(__file__).parent / "fixtures" / "stm"
BOTH_MODES = pytest.mark.parametrize("exact", [True, False], ids=["exact", "default"])


def fixture(name: str) -> dict[str, NDArray]:
    """The arrays of one file of fixtures."""
    with np.load(HERE / f"{name}.npz") as arrays:
        return dict(arrays)


@cache
def network(exact: bool = True) -> STM:
    """Filled but for what pictures are normalised by; as `exact` and as the default mode run it."""
    if not exact:
        fast = rearranged(network())
        assert isinstance(fast, STM)
        return fast
    built = build_network("stm")
    assert isinstance(built, STM)
    means = {name: value.clone() for name, value in built.state_dict().items() if name.endswith((".mean", ".std"))}
    fill(built).load_state_dict(means, strict=False)
    return built


def normal(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32))


def frame(height: int, width: int, seed: int) -> Tensor:
    return as_input(picture(height, width, seed))


def as_input(rgb: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(rgb.astype(np.float32) / 255).permute(2, 0, 1)[None].contiguous()


def moving(count: int, height: int = 96, width: int = 160) -> list[NDArray[np.uint8]]:
    """Frames cut from one wide picture, three pixels farther to the right each time."""
    wide = picture(height, width + 3 * count, 7)
    return [wide[:, 3 * number : 3 * number + width] for number in range(count)]


def labels(height: int, width: int) -> NDArray[np.intp]:
    """An ellipse, 1, and a rectangle before it, 2."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    drawn = np.zeros((height, width), np.intp)
    drawn[((y - 0.45 * height) / (0.30 * height)) ** 2 + ((x - 0.35 * width) / (0.20 * width)) ** 2 <= 1] = 1
    drawn[int(0.35 * height) : int(0.85 * height), int(0.45 * width) : int(0.75 * width)] = 2
    return drawn


def masks(height: int, width: int, channels: int) -> Tensor:
    drawn = labels(height, width)
    return torch.stack([torch.from_numpy((drawn == each).astype(np.float32)) for each in range(channels)])[None]


def soft(one_hot: Tensor) -> Tensor:
    for _ in range(2):
        one_hot = functional.avg_pool2d(functional.pad(one_hot, (2, 2, 2, 2), mode="replicate"), 5, 1)
    return one_hot


def check(found: Tensor, expected: NDArray, atol: float) -> None:
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=atol)


def test_keys_shapes_and_order_are_those_of_the_checkpoint() -> None:
    listed = json.loads(gzip.decompress((HERE / "keys.json.gz").read_bytes()))["keys"]
    expected = [(each["key"], tuple(each["shape"])) for each in listed]
    assert [(name, tuple(value.shape)) for name, value in build_network("stm").state_dict().items()] == expected


@BOTH_MODES
def test_features(exact: bool) -> None:
    expected, stm = fixture("stages"), network(exact)
    given = soft(masks(96, 160, 3))
    one, other = given[0, 1:2, None], given[0, 2:3, None]
    seen = frame(96, 160, 1).expand(2, -1, -1, -1)
    encoder = stm.Encoder_M
    stem = encoder.conv1(encoder.normalised(seen))
    stem = stem + encoder.conv1_m(torch.cat([one, other])) + encoder.conv1_o(torch.cat([other, one]))
    check(functional.relu(encoder.bn1(stem))[:, ::32], expected["m_c1"], 5e-5)
    r4, r3, r2 = encoder.stages(stem)
    for name, found in {"m_r4": r4[:, ::8], "m_r3": r3[:, ::32], "m_r2": r2[:, ::64]}.items():
        check(found, expected[name], 5e-5)
    whole = encoder(frame(96, 160, 1), torch.cat([one, other]), torch.cat([other, one]))
    check(whole[:, ::8], expected["m_r4"], 5e-5)
    r4, r3, r2 = stm.Encoder_Q(frame(96, 160, 2))
    for name, found in {"q_r4": r4[:, ::4], "q_r3": r3[:, ::16], "q_r2": r2[:, ::32]}.items():
        check(found, expected[name], 5e-5)
    pairs = fixture("keyvalue")
    key, value = stm.KV_M_r4(whole)
    check(key, pairs["m_key"], 5e-5)
    check(value[:, ::2], pairs["m_value"], 5e-5)
    key, value = stm.KV_Q_r4(r4)
    check(key, pairs["q_key"], 5e-5)
    check(value, pairs["q_value"], 5e-5)


@pytest.mark.parametrize("frames", [1, 3])
def test_reading(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = fixture("read")
    memory = Memory(0.7 * normal(10 + frames, 2, 128, frames, 6, 10), normal(20 + frames, 2, 512, frames, 6, 10))
    key = 0.7 * normal(30, 1, 128, 6, 10)
    check(read(memory, key), expected[f"mem_T{frames}"], 1e-5)
    shares = affinities(memory.key.flatten(2), key.expand(2, -1, -1, -1).flatten(2))
    check(shares[:, :, ::6], expected[f"p_T{frames}"], 1e-6)
    monkeypatch.setattr("stages.engines.propagators.stm.network._AFFINITY_BYTES", 4 * 2 * 60 * frames * 7)
    check(read(memory, key), expected[f"mem_T{frames}"], 1e-5)
    check(read(memory, key, top_k=60 * frames), expected[f"mem_T{frames}"], 1e-5)


def test_of_many_cells_the_nearest_are_read() -> None:
    keys, queries = normal(1, 2, 128, 40), normal(2, 2, 128, 9)
    every, few = affinities(keys, queries), affinities(keys, queries, top_k=5)
    assert ((few > 0).sum(dim=1) == 5).all()
    torch.testing.assert_close(few.sum(dim=1), torch.ones(2, 9))
    kept = torch.where(few > 0, every, 0)
    torch.testing.assert_close(few, kept / kept.sum(dim=1, keepdim=True))
    assert (every.argmax(dim=1) == few.argmax(dim=1)).all()


@BOTH_MODES
def test_decoder(exact: bool) -> None:
    found = network(exact).Decoder(normal(41, 2, 1024, 6, 10), normal(42, 2, 512, 12, 20), normal(43, 2, 256, 24, 40))
    check(found, fixture("decoder")["logits"], 2e-4)


@pytest.mark.parametrize("channels", [4, 11])
def test_aggregation(channels: int) -> None:
    expected = fixture("aggregate")
    found = aggregate(torch.from_numpy(expected["ps"]), channels)
    logits, shares = expected[f"logit_K{channels}"], expected[f"prob_K{channels}"]
    extreme = ((expected["ps"] == 0) | (expected["ps"] == 1)).any(axis=0)
    check(found[..., torch.from_numpy(~extreme)], logits[..., ~extreme], 1e-5)
    check(found, logits, 1e-4)
    check(found.softmax(dim=1), shares, 1e-5)


@BOTH_MODES
def test_a_frame_is_segmented_from_one_memory_and_from_two(exact: bool) -> None:
    expected, stm = fixture("segment"), network(exact)
    given = masks(96, 160, 3)
    hard_key, hard_value = stm.memorize(frame(96, 160, 1), given, objects=2)
    soft_key, soft_value = stm.memorize(frame(96, 160, 2), soft(given), objects=2)
    check(hard_key[0, 1:], expected["mem_key_hard"], 5e-5)
    check(soft_key[0, 1:], expected["mem_key_soft"], 5e-5)
    assert float(hard_key[0, 0].abs().max()) == expected["mem_bg_zero"] == 0
    seen = frame(96, 160, 3)
    check(stm.segment(seen, hard_key, hard_value, objects=2), expected["logit_T1"], 2e-3)
    both = torch.cat([hard_key, soft_key], dim=3), torch.cat([hard_value, soft_value], dim=3)
    check(stm.segment(seen, *both, objects=2), expected["logit_T2"], 2e-3)


@BOTH_MODES
def test_any_size_is_padded_and_cut_again(exact: bool) -> None:
    stm, given, seen = network(exact), masks(90, 149, 3), [frame(90, 149, seed) for seed in (4, 5)]
    found = stm.segment(seen[1], *stm.memorize(seen[0], given, objects=2), objects=2)
    by_hand = stm.segment(padded(seen[1]), *stm.memorize(padded(seen[0]), padded(given), objects=2), objects=2)
    assert found.shape == (1, 3, 90, 149)
    check(found, by_hand[:, :, 3:93, 5:154].numpy(), 0)


def test_channels_without_an_object_stay_empty() -> None:
    stm, seen = network(), [frame(64, 96, seed) for seed in (4, 5)]
    few, many = (
        stm.segment(seen[1], *stm.memorize(seen[0], masks(64, 96, channels), objects=2), objects=2)
        for channels in (3, 11)
    )
    check(many[:, :3], few.numpy(), 1e-4)
    check(many[:, 3:], np.full((1, 8, 64, 96), -16.118, np.float32), 1e-3)


def test_padding_has_its_larger_half_right_and_below() -> None:
    wider = padded(torch.ones(1, 1, 91, 149))
    assert wider.shape == (1, 1, 96, 160)
    rows, columns = wider[0, 0].any(dim=1).nonzero()[:, 0], wider[0, 0].any(dim=0).nonzero()[:, 0]
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (2, 92, 5, 153)


# -- the engine --------------------------------------------------------------------------------------------------------


def test_exact_is_the_published_loop() -> None:
    """Written with the network's two calls as section 3 of the reference has it."""
    stm, video, count = network(), moving(9, 64, 96), 9
    given = masks(64, 96, 3)
    estimate, kept, expected, frames_used = given, [], [], []
    for step in range(1, count):
        last = stm.memorize(as_input(video[step - 1]), estimate, objects=2)
        memory = [*kept, last]
        frames_used.append(len(memory))
        keys, values = (torch.cat(parts, dim=3) for parts in zip(*memory, strict=True))
        estimate = stm.segment(as_input(video[step]), keys, values, objects=2).softmax(dim=1)
        expected.append(estimate[0, 1:].numpy())
        kept = memory if (step - 1) % 5 == 0 else kept
    assert frames_used == [1, *((step - 2) // 5 + 2 for step in range(2, count))]
    engine = Stm(stm, device="cpu", every=1, most_kept=0, top_k=1, exact=True)
    results = list(engine.follow(video, Anchor(0, video[0], given[0, 1:].numpy()), [], range(1, count)))
    for (_, objects), masks_then in zip(results, expected, strict=True):
        for each, mask in zip(objects, masks_then, strict=True):
            assert each is not None
            if (mask > 0.5).any():
                np.testing.assert_allclose(each.probability, mask, rtol=0, atol=1e-4)
            else:
                assert each.reason


@pytest.mark.parametrize(("every", "most_kept", "expected"), [(1, 2, [2, 3, 4, 5, 5, 5]), (3, 9, [2, 3, 3, 3, 4, 4])])
def test_memory_is_bounded(every: int, most_kept: int, expected: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two anchors, the last frame, and so many others."""
    frames_used = []
    find = STM.find
    monkeypatch.setattr(
        STM,
        "find",
        lambda self, query, memory, *more: frames_used.append(memory.key.shape[2]) or find(self, query, memory, *more),
    )
    video = moving(8, 32, 48)
    anchors = [Anchor(index, video[index], masks(32, 48, 3)[0, 1:].numpy()) for index in (0, 7)]
    engine = Stm(network(exact=False), device="cpu", every=every, most_kept=most_kept, top_k=20, exact=False)
    list(engine.follow(video, anchors[0], anchors[1:], range(1, 7)))
    assert frames_used == expected


def test_anchors_beyond_are_remembered_but_not_with_exact() -> None:
    video = moving(8, 32, 48)
    anchors = [Anchor(index, video[index], masks(32, 48, 3)[0, 1:].numpy()) for index in (0, 2, 4, 7)]
    for exact, differs in ((False, True), (True, False)):
        engine = Stm(network(exact), device="cpu", every=5, most_kept=4, top_k=0, exact=exact)
        alone = next(engine.propagate(video, anchors[1], anchors[2]))
        helped = next(engine.propagate(video, anchors[1], anchors[2], [anchors[0], anchors[3]]))
        assert (np.abs(alone.probability - helped.probability).max() > 0) == differs


def test_large_frames_are_looked_at_in_480_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.engines.propagators.stm.engine._SHORT_SIDE_PX", 32)
    video = moving(3, 64, 96)
    sizes = []
    query = STM.query
    monkeypatch.setattr(STM, "query", lambda self, seen: sizes.append(seen.shape[-2:]) or query(self, seen))
    engine = Stm(network(exact=False), device="cpu", every=5, most_kept=4, top_k=50, exact=False)
    (result,) = engine.propagate(video, *(Anchor(i, video[i], masks(64, 96, 3)[0, 1:].numpy()) for i in (0, 2)))
    assert result.probability.shape == (2, 64, 96)
    assert sizes == [(32, 48), (32, 48)]
