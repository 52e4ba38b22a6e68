import cv2
import numpy as np
import pytest
import torch

from stages.core.boxes import Box
from stages.core.states import NOT_ON_ANCHORS, Gone, Source
from stages.core.types import Anchor, SegmentFrame
from stages.engines.propagators.match.engine import Match
from stages.engines.propagators.match.evidence import against, gather
from stages.engines.propagators.match.matching import SPREAD_CELLS, TEMPERATURE, follow, from_cells, match, to_cells
from stages.engines.propagators.match.network import LEAST, MatchLite, MatchTrunk
from stages.engines.propagators.match.prior import carry
from stages.engines.propagators.match.reading import Readout, look_up, memory, told_apart
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
    """All similarities (queries, cells), less what distance takes from them."""
    _, height, width = query.shape
    row, column = torch.arange(height * width) // width, torch.arange(height * width) % width
    apart = (row[:, None] - row) ** 2 + (column[:, None] - column) ** 2
    spread = SPREAD_CELLS * max(1, height / 48, width / 48)
    return query.flatten(1).T @ anchor.flatten(1) - TEMPERATURE * apart / (2 * spread**2)


@pytest.mark.parametrize("size_hw", [(20, 37), (36, 18), (6, 4), (5, 72)])
def test_reading_row_by_row_is_a_softmax_over_all_anchors(size_hw):
    rng = torch.Generator().manual_seed(1)
    query, *anchors = (keys(rng, *size_hw) for _ in range(3))
    values = [torch.nn.functional.pad(torch.rand(*size_hw, 5, generator=rng), (0, 1), value=1) for _ in anchors]
    affinities = [full_affinity(query, each) for each in anchors]
    shares = torch.softmax(torch.cat(affinities, dim=1) / TEMPERATURE, dim=1)
    wanted = shares @ torch.cat([each.flatten(0, 1) for each in values])
    found = [match(query[None], anchor[None], each[None]) for anchor, each in zip(anchors, values, strict=True)]
    total = torch.stack([each.sums[0] for each in found]).sum(dim=0)
    torch.testing.assert_close(total / total[..., -1:], wanted.view_as(total), atol=1e-5, rtol=1e-4)
    for each, affinity in zip(found, affinities, strict=True):
        torch.testing.assert_close(each.similarity[0], affinity.amax(dim=1).view(size_hw), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(each.reached[0], affinity.amax(dim=0).view(size_hw), atol=1e-5, rtol=1e-4)


def test_frames_side_by_side_are_matched_as_one_by_one():
    rng = torch.Generator().manual_seed(3)
    query, anchor = (torch.stack([keys(rng, 9, 11) for _ in range(3)]) for _ in range(2))
    values = torch.rand(3, 9, 11, 4, generator=rng)
    together = match(query, anchor, values)
    for number in range(3):
        alone = match(*(part[number : number + 1] for part in (query, anchor, values)))
        for one, other in zip(together, alone, strict=True):
            torch.testing.assert_close(one[number], other[0], atol=1e-5, rtol=1e-4)


def test_a_frame_that_is_an_anchor_reads_the_anchors_mask():
    rng = torch.Generator().manual_seed(2)
    key = keys(rng, 12, 16)[None]
    mask = torch.zeros(1, 1, 96, 128)
    mask[:, :, 22:70, 34:90] = 1
    readout = look_up(key, [memory(key, mask)])
    torch.testing.assert_close(readout.similarity, torch.ones_like(readout.similarity))
    torch.testing.assert_close(readout.found, torch.ones_like(readout.found))
    halves = torch.nn.functional.avg_pool2d(mask, 2)
    assert ((from_cells(readout.together[:, 0]) > 0.5) == (halves > 0.5)).all()


def test_what_lies_beyond_counts_where_all_anchors_are_read_together():
    rng = torch.Generator().manual_seed(4)
    query, *others = (keys(rng, 12, 16)[None] for _ in range(3))
    mask = (torch.rand(1, 1, 12, 16, generator=rng) > 0.5).float().repeat_interleave(8, 2).repeat_interleave(8, 3)
    own = [memory(key, torch.zeros_like(mask)) for key in others]
    alone, more = look_up(query, own), look_up(query, own, [memory(query, mask)])
    assert not alone.together.any()
    torch.testing.assert_close(from_cells(more.together[:, 0]), mask[..., ::2, ::2], atol=1e-3, rtol=0)
    for name in ("sides", "similarity", "found", "usual", "has"):
        assert torch.equal(getattr(more, name), getattr(alone, name)), name


def test_sub_cells_come_back_to_their_places():
    masks = torch.rand(2, 3, 32, 48)
    torch.testing.assert_close(from_cells(to_cells(masks)), torch.nn.functional.avg_pool2d(masks, 2))


def read(has=((True,), (True,)), objects=1) -> Readout:
    """Anything that might have been read on a frame of 8 x 6 cells."""
    return Readout(
        torch.rand(1, objects, 16, 8, 6),
        torch.rand(1, 2, objects, 16, 8, 6),
        torch.rand(1, 2, 8, 6),
        torch.rand(1, 2, objects),
        torch.rand(1, 2),
        torch.tensor(has)[None],
    )


def test_a_frame_of_one_pixel_is_carried_and_its_score_is_1_at_most(engine):
    frame, mask = np.array([[[40, 200, 90]]], np.uint8), np.ones((1, 1, 1), np.float32)
    (result,) = engine.propagate([frame] * 3, Anchor(0, frame, mask), Anchor(2, frame, mask))
    assert result.probability.max() > 0.5
    assert result.score[0] <= 1


def test_an_untrained_decoder_gives_the_fusion():
    torch.manual_seed(0)
    lite = MatchLite()
    readout = read(((True, False), (True, True)), objects=2)
    known = gather(readout, torch.rand(1, 2, 2, 32, 24), torch.rand(1, 2, 2, 32, 24), torch.tensor([0.3]))
    logits, presence = lite(lite.features(255 * torch.rand(1, 3, 64, 48)), known)
    assert presence.shape == (2,)
    torch.testing.assert_close(logits, upsample(torch.logit(known.base, LEAST), (64, 48)))


def test_without_trust_in_flow_matching_decides():
    readout = read()
    without, with_flow = (
        gather(readout, torch.zeros(1, 2, 1, 32, 24), torch.full((1, 2, 1, 32, 24), trust), torch.tensor([0.5])).base
        for trust in (0.0, 1.0)
    )
    torch.testing.assert_close(with_flow, without * 0.7 / 1.7)


def test_the_fusion_goes_by_the_anchor_that_has_the_object():
    readout = read(((True,), (False,)))
    priors, trusts = torch.rand(1, 2, 1, 32, 24), torch.rand(1, 2, 1, 32, 24)
    known = gather(readout, priors, trusts, torch.tensor([0.4]))
    torch.testing.assert_close(known.flow[0], priors[0, 0])
    torch.testing.assert_close(known.trust[0, 0], trusts[0, 0, 0])
    before, mixed = readout.sides[0, 0, 0], readout.together[0, 0]
    torch.testing.assert_close(known.readouts[0], torch.cat([before, before, mixed]))


def test_rivals_are_the_others():
    base = torch.rand(1, 3, 4, 5)
    outside = torch.rand(1, 1, 4, 5)
    rivals = against(base, outside)
    wanted = 1 - (1 - base[0, 0]) * (1 - base[0, 2]) * (1 - outside[0, 0])
    torch.testing.assert_close(rivals[0, 1], wanted)


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
        assert result.gone == (NOT_ON_ANCHORS, None)
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


def test_an_anchor_beyond_is_seen_unless_it_lies_behind_a_cut(engine):
    """Its picture is that of the left anchor, its mask is not."""
    first, second = Shifted((2, 0)), Shifted((-2, 0), start_xy=(110, 80))
    for cut, is_seen in ((COUNT, True), (4, False)):
        video = [first[i] if i < cut else 255 - second[i][::-1] for i in range(COUNT)]
        truths = [first.truth(i) if i < cut else second.truth(i)[::-1] for i in range(COUNT)]
        left, right = (Anchor(i, video[i], truths[i][None]) for i in (2, 6))
        beyond = Anchor(0, left.frame, np.ones_like(left.masks))
        without, found = (list(engine.propagate(video, left, right, more)) for more in ((), (beyond,)))
        same = [np.array_equal(one.probability, other.probability) for one, other in zip(without, found, strict=True)]
        assert same[-1] is not is_seen


def test_where_both_directions_of_flow_disagree_is_told_at_the_size_of_the_frame(engine):
    still = Shifted()
    for result in propagate(engine, still, still.anchor(0), still.anchor(6)):
        assert not result.disagreement.any()
    shown, larger = still.truth(0), still.truth(0)
    left, top, width, height = cv2.boundingRect(shown.astype(np.uint8))
    larger[top : top + height, left + width : left + width + 12] = 1
    rest = np.count_nonzero(larger != shown)
    for result in propagate(engine, still, still.anchor(0), still.anchor(6, larger)):
        (differing,) = result.disagreement
        assert np.count_nonzero(differing & (larger != shown)) > 0.8 * rest
        assert np.count_nonzero(differing) < 1.2 * rest
        assert result.agreement[0] < 0.9
    assert all(result.disagreement is None for result in propagate(engine, still, still.anchor(0), None))


def test_an_object_that_leaves_the_first_view_is_found_in_a_wider_one(engine):
    video = Shifted((8, 0), start_xy=(10, 50))
    for result in propagate(engine, video, video.anchor(0), None):
        assert iou(result.probability[0], video.truth(result.index)) > 0.7


def test_a_small_object_is_magnified_and_the_whole_picture_seen_larger_than_an_object_that_fills_it():
    frame_hw = (480, 854)
    assert View.around(Box(400, 200, 450, 240), 1.0, frame_hw).scale == pytest.approx(3, abs=0.3)
    assert View.around(Box(1, 0, 854, 480), 1.0, frame_hw).size_wh == (352, 192)
    assert View.around(Box(0, 0, 854, 480), 1.0, frame_hw).size_wh == (576, 320)


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


def test_only_the_flows_that_will_be_asked_for_are_kept_and_bring_the_same():
    video = Shifted((3, 1))
    left, right = video.anchor(0), video.anchor(6)
    view = View(Box(0, 0, WIDTH, HEIGHT), (HEIGHT, WIDTH), (2 * WIDTH, 2 * HEIGHT))
    asked = {(1, 0), (2, 1), (4, 5), (5, 6)}
    few, everything = (carry(video, range(1, 6), left, right, view, *only) for only in ((asked,), ()))
    for index in range(1, 6):
        for one, other in zip(few.at(index), everything.at(index), strict=True):
            np.testing.assert_array_equal(one.masks, other.masks)
        for neighbour in (index - 1, index + 1):
            masks = view.masks(video.truth(neighbour)[None].astype(np.float32))
            one, other = (each.step(neighbour, index, masks) for each in (few, everything))
            assert (one is not None) == ((index, neighbour) in asked)
            assert other is not None
            if one is not None:
                np.testing.assert_array_equal(one.masks, other.masks)


def test_two_runs_give_the_same_bytes(engine):
    video = Shifted((3, 2))
    runs = [propagate(engine, video, video.anchor(0), video.anchor(6)) for _ in range(2)]
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one.probability, other.probability)
        np.testing.assert_array_equal(one.score, other.score)


@pytest.mark.parametrize(
    ("on_anchors", "words"),
    [
        ((True, True), "not found (presence 0.00)"),
        ((True, False), "has left (presence 0.00)"),
        ((False, True), "not entered yet (presence 0.00)"),
    ],
)
def test_what_the_network_finds_absent_is_empty_and_it_says_why(on_anchors, words):
    lite = MatchLite().eval()
    lite.load_state_dict({**lite.state_dict(), "decoder.presence.bias": torch.tensor([-9.0])})
    video = Shifted((3, 1))
    anchors = [video.anchor(at, *([] if there else [NOTHING])) for at, there in zip((0, 6), on_anchors, strict=True)]
    for result in propagate(Match(lite, device="cpu"), video, *anchors):
        assert result.gone == (Gone(Source.ABSENT, words),)
        assert not result.probability.any()
        assert result.score[0] > 0.99


def test_between_neighbours_the_nearer_of_two_look_alikes_is_read():
    key = keys(torch.Generator().manual_seed(4), 1, 16)
    key[:, :, 12] = key[:, :, 2]
    where = torch.zeros(1, 16, dtype=torch.bool)
    where[0, [4, 11]] = True
    frame = key.clone()
    frame[:, 0, 4] = frame[:, 0, 11] = key[:, 0, 2]
    read, similarity = follow(frame, key, torch.arange(16.0).view(1, 16, 1), where)
    torch.testing.assert_close(read[:, 0], torch.tensor([2.0, 12.0]), atol=2, rtol=0)
    torch.testing.assert_close(similarity, torch.ones(2))


def test_look_alikes_are_told_apart_by_where_they_were_and_the_rest_stays():
    readout = read(((True, True), (True, True)), objects=2)
    near = torch.zeros(1, 2, 32, 24)
    assert torch.allclose(told_apart(readout, near).together, readout.together)
    near[:, 0] = 1
    apart = told_apart(readout, near)
    torch.testing.assert_close(apart.sides.sum(dim=2), readout.sides.sum(dim=2))
    assert (apart.together[:, 0] > readout.together[:, 0]).all()
