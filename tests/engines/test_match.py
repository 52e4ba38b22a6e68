import cv2
import numpy as np
import pytest
import torch

from stages.core.boxes import Box
from stages.core.states import Gone, Source
from stages.core.types import Anchor, SegmentFrame
from stages.engines.propagators.match.engine import Match
from stages.engines.propagators.match.matching import REACH, TEMPERATURE, from_cells, match, to_cells
from stages.engines.propagators.match.network import LEAST, MatchLite, MatchTrunk, fuse, gather, look_up, memory
from stages.engines.propagators.match.prior import carry
from stages.engines.propagators.match.view import View
from stages.engines.registry import load_network
from stages.nn.lite import upsample
from tests.engines.test_flow import COUNT, HEIGHT, WIDTH, Shifted, complete, iou

NOTHING = np.zeros((HEIGHT, WIDTH), np.float32)


@pytest.fixture(scope="module")
def network() -> MatchTrunk:
    loaded = load_network("match:trunk", None)
    assert isinstance(loaded, MatchTrunk)
    return loaded


@pytest.fixture(scope="module")
def engine(network) -> Match:
    return Match(network, device="cpu")


def propagate(engine: Match, video, left: Anchor | None, right: Anchor | None) -> list[SegmentFrame]:
    return complete(engine.propagate(video, left, right), left, right)


def keys(rng: torch.Generator, height: int, width: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(24, height, width, generator=rng), dim=0)


def full_affinity(query: torch.Tensor, anchor: torch.Tensor) -> torch.Tensor:
    """All scores (queries, cells), -inf outside of the window."""
    _, height, width = query.shape
    scores = query.flatten(1).T @ anchor.flatten(1)
    row, column = torch.arange(height * width) // width, torch.arange(height * width) % width
    far = ((row[:, None] - row).abs() > REACH) | ((column[:, None] - column).abs() > REACH)
    return scores.masked_fill(far, -torch.inf)


@pytest.mark.parametrize("size_hw", [(20, 37), (36, 18), (6, 4)])
def test_reading_row_by_row_is_a_softmax_over_the_windows_of_all_anchors(size_hw):
    rng = torch.Generator().manual_seed(1)
    query, *anchors = (keys(rng, *size_hw) for _ in range(3))
    values = [torch.nn.functional.pad(torch.rand(*size_hw, 5, generator=rng), (0, 1), value=1) for _ in anchors]
    affinities = [full_affinity(query, each) for each in anchors]
    shares = torch.softmax(torch.cat(affinities, dim=1) / TEMPERATURE, dim=1)
    wanted = shares @ torch.cat([each.flatten(0, 1) for each in values])
    sums, similarities = zip(*(match(query, *pair) for pair in zip(anchors, values, strict=True)), strict=True)
    total = torch.stack(sums).sum(dim=0)
    torch.testing.assert_close(total / total[..., -1:], wanted.view_as(total), atol=1e-5, rtol=1e-4)
    for similarity, affinity in zip(similarities, affinities, strict=True):
        torch.testing.assert_close(similarity, affinity.amax(dim=1).view(size_hw), atol=1e-5, rtol=1e-4)


def test_a_frame_that_is_an_anchor_reads_the_anchors_mask():
    rng = torch.Generator().manual_seed(2)
    key = keys(rng, 12, 16)
    mask = torch.zeros(1, 96, 128)
    mask[:, 22:70, 34:90] = 1
    readouts, similarity = look_up(key, [memory(key, mask)])
    torch.testing.assert_close(similarity, torch.ones_like(similarity))
    halves = torch.nn.functional.avg_pool2d(mask[None], 2)
    assert ((from_cells(readouts[:, :16]) > 0.5) == (halves > 0.5)).all()


def test_sub_cells_come_back_to_their_places():
    masks = torch.rand(2, 3, 32, 48)
    torch.testing.assert_close(from_cells(to_cells(masks)), torch.nn.functional.avg_pool2d(masks, 2))


def test_an_untrained_decoder_gives_the_fusion():
    torch.manual_seed(0)
    lite = MatchLite()
    readouts, similarity = torch.rand(2, 48, 8, 6), torch.rand(2, 8, 6)
    known = gather(
        readouts, similarity, torch.rand(2, 2, 32, 24), torch.rand(2, 32, 24), torch.rand(32, 24), torch.tensor(0.3)
    )
    logits = lite(lite.features(255 * torch.rand(1, 3, 64, 48)), known)
    torch.testing.assert_close(logits, upsample(torch.logit(fuse(known), LEAST), (64, 48)))


def test_without_trust_in_flow_matching_decides():
    readouts = torch.rand(1, 48, 8, 6)
    flows = torch.zeros(1, 2, 32, 24), torch.zeros(1, 32, 24)
    without, with_flow = (
        fuse(gather(readouts, torch.rand(2, 8, 6), *flows, torch.full((32, 24), trust), torch.tensor(0.5)))
        for trust in (0.0, 1.0)
    )
    torch.testing.assert_close(with_flow, without * 0.7 / 1.7)


def test_without_motion_the_mask_stays_what_it_is(engine):
    video = Shifted()
    for result in propagate(engine, video, video.anchor(0), video.anchor(6)):
        assert iou(result.probability[0], video.truth(0)) > 0.96
        assert result.score[0] > 0.9
        assert result.agreement[0] == 1
        assert result.gone == (None,)


@pytest.mark.parametrize("speed_xy", [(4, 0), (-3, 5)])
def test_a_shift_is_followed(engine, speed_xy):
    video = Shifted(speed_xy, start_xy=(70, 40))
    results = propagate(engine, video, video.anchor(0), video.anchor(6))
    for result in results:
        assert iou(result.probability[0], video.truth(result.index)) > 0.85
    for direction, result in (("forward", results[0]), ("backward", results[-1])):
        left, top, width, height = cv2.boundingRect(video.truth(result.index).astype(np.uint8))
        box = result.directions[direction].box_xyxy[0]
        np.testing.assert_allclose(box, [left, top, left + width, top + height], atol=5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_one_sided_stretch_runs_to_the_end_of_the_video(engine, side):
    video = Shifted((3, 1))
    left, right = (video.anchor(0), None) if side == "left" else (None, video.anchor(6))
    for result in propagate(engine, video, left, right):
        assert iou(result.probability[0], video.truth(result.index)) > 0.8
        assert np.isnan(result.agreement[0])


def test_an_object_that_one_anchor_lacks_is_read_from_the_other_alone(engine):
    video = Shifted((3, 1))
    for result in propagate(engine, video, video.anchor(0), video.anchor(6, NOTHING)):
        assert iou(result.probability[0], video.truth(result.index)) > 0.8
        assert np.isnan(result.agreement[0])
        assert not result.directions["backward"].box_xyxy.any()


def test_an_object_absent_on_both_anchors_is_absent_between_and_leaves_the_others_alone(engine):
    video = Shifted((3, 1))
    left, right = (video.anchor(index, NOTHING, video.truth(index)) for index in (0, 6))
    for result in propagate(engine, video, left, right):
        assert result.gone == (Gone(Source.ABSENT), None)
        assert not result.probability[0].any()
        assert iou(result.probability[1], video.truth(result.index)) > 0.85


def test_two_objects_in_one_view_share_the_features_of_a_frame(network, monkeypatch):
    video = Shifted((2, 1))
    halves = []
    for index in (0, 6):
        left_half = video.truth(index) * (np.cumsum(video.truth(index), axis=1) <= 20)
        halves.append(video.anchor(index, left_half, video.truth(index) - left_half))
    passes = []
    features = network.features
    monkeypatch.setattr(network, "features", lambda picture: passes.append(len(picture)) or features(picture))
    results = propagate(Match(network, device="cpu"), video, *halves)
    assert sum(passes) == len(results) + 2
    for result in results:
        one, other = result.probability
        assert iou(np.maximum(one, other), video.truth(result.index)) > 0.85
        middle = int(np.flatnonzero(video.truth(result.index).any(axis=0))[20])
        areas = [[np.count_nonzero(half > 0.5) for half in np.split(mask, [middle], axis=1)] for mask in (one, other)]
        assert areas[0][0] > 3 * areas[0][1]
        assert areas[1][1] > 3 * areas[1][0]


def test_behind_a_cut_only_the_anchor_of_the_same_shot_counts(engine):
    first, second = Shifted((2, 0)), Shifted((-2, 0), start_xy=(110, 80))
    video = [first[i] if i < 4 else 255 - second[i][::-1] for i in range(COUNT)]
    truths = [first.truth(i) if i < 4 else second.truth(i)[::-1] for i in range(COUNT)]
    left, right = (Anchor(i, video[i], truths[i][None]) for i in (0, 6))
    for result in propagate(engine, video, left, right):
        assert iou(result.probability[0], truths[result.index]) > 0.85
        assert np.isnan(result.agreement[0])


def test_an_object_that_leaves_the_first_view_is_found_in_a_wider_one(engine):
    video = Shifted((8, 0), start_xy=(10, 50))
    for result in propagate(engine, video, video.anchor(0), None):
        assert iou(result.probability[0], video.truth(result.index)) > 0.7


def test_waiting_flows_carry_as_well_as_fresh_ones():
    video = Shifted((3, 1))
    left, right = video.anchor(0), video.anchor(6)
    view = View(Box(0, 0, WIDTH, HEIGHT), (HEIGHT, WIDTH), (2 * WIDTH, 2 * HEIGHT))
    both, alone = carry(video, range(1, 6), left, right, view), carry(video, range(1, 6), left, None, view)
    for index in range(1, 6):
        kept, fresh = both.at(index)[0], alone.at(index)[0]
        assert iou(kept.masks[0], fresh.masks[0]) > 0.97
        assert abs(float(kept.trust.mean() - fresh.trust.mean())) < 0.05
        assert alone.at(index)[1] is None


def test_two_runs_give_the_same_bytes(engine):
    video = Shifted((3, 2))
    runs = [propagate(engine, video, video.anchor(0), video.anchor(6)) for _ in range(2)]
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one.probability, other.probability)
        np.testing.assert_array_equal(one.score, other.score)
