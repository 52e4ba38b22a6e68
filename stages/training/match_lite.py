"""How `match_lite` is trained: on stretches of real clips, of clips composed of them, and of moved pictures.

Anchors are as imperfect as those of the pipeline, matching and flow are those of the engine; the target is the true
mask, empty where an object is covered or not there. So the decoder learns how the fusion of matching and flow errs,
what contours look like, and what speaks for an object being there at all.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from stages.core.palette import IGNORE
from stages.engines.propagators.match.evidence import Evidence, against, gather
from stages.engines.propagators.match.network import Features, MatchLite
from stages.engines.propagators.match.reading import Memory, look_up, memory, told_apart
from stages.nn.lite import Lite, from_published, upsample
from stages.nn.prepare import for_inference
from stages.training.losses import ious, soft_iou_loss
from stages.training.match_examples import FRAMES, example
from stages.training.match_stills import LARGEST_SHARE, LEAST_OBJECT_PX, WANTED, still_stretch
from stages.training.match_stretches import SIZE_HW, Stretch, clip_stretch, composed_stretch
from stages.training.pictures import Drawing, Picture, clips_of, examples
from stages.training.recipe import Batch, Draw, Recipe, Sample, Schedule
from stages.training.scenes import drawn
from stages.training.sheets import contour, tiles

_HARDEST: Final = 0.25
_PRESENCE_WEIGHT: Final = 0.2
_LEAST_SEEN_PX: Final = 12
"""Of an object in the view, for it to be there."""
_PAINTED_PX: Final = 20
_VALIDATION_STRETCHES: Final = 96
_VALIDATION_SEED: Final = 7
_SHEET_STRETCHES: Final = 18
_COLOURS: Final = ((255, 0, 0), (0, 160, 255), (255, 0, 255))
_SOURCES: Final = {clip_stretch: 0.45, composed_stretch: 0.35, still_stretch: 0.2}


class MatchRecipe:
    """The `Recipe`."""

    notes = """
`{engine}` carries masks to the frames between two anchors, and says of every object whether it is there at all. What
was trained is its decoder of 0.44 million parameters and, slowly, the trunk, EfficientNet-Lite0 up to stride 16, from
stride 8 on.

Limits: thin lines are lost; what is only a few cells of 8 pixels large, in a view of at most 384 pixels, and moves fast
is found again from the next anchor only; of two that look alike and cross behind something, or within a frame or two,
one may come out as the other.
"""
    schedule = Schedule(steps=2000, batch=6, learning_rate=1e-3, trunk_rate=0.1, averaging=0.996, validate_every=500)
    shares: Mapping[str, float] = {
        "davis16_train": 0.22,
        "coco_open": 0.12,
        "coco_nc": 0.26,
        "ccp_person": 0.1,
        "voc10_objects": 0.14,
        "weizmann_horses": 0.05,
        "oxford_pets_sample": 0.04,
        "davis17_first_frames": 0.07,
    }
    engines: Sequence[str] = ()
    on_gpu = True
    wanted = WANTED

    def suits(self, picture: Picture) -> bool:
        """See `Recipe`."""
        return bool(picture.clip) or bool(picture.objects(2 * LEAST_OBJECT_PX, LARGEST_SHARE))

    def build(self, trunk: Mapping[str, Tensor]) -> nn.Module:
        """See `Recipe`."""
        network = MatchLite()
        network.trunk.load_state_dict(from_published(trunk, network.trunk))
        if self.schedule.trunk_rate:
            network.trunk.freeze_early()
        else:
            for_inference(network.trunk)
        return network

    def trunk(self, network: nn.Module) -> Lite:
        """See `Recipe`."""
        assert isinstance(network, MatchLite)
        return network.trunk

    def sample(self, pictures: Draw, rng: np.random.Generator) -> Sample:
        """Two frames of a stretch, and what the engine would know of three objects there; h, w are 224, 304.

        `pictures` (4, h, w, 3) uint8 RGB: anchor before, anchor after, frames between; `anchors` (2, 3, h, w) uint8
        their soft masks, `targets` (2, 3, h, w) uint8 the frames': 1, 0, or 255 unknown; `objects` (3,) bool which of
        the three are used; `sides` (2,) bool which anchors there are; and, as in `Flow` but for the scale of 255, for
        either frame `priors` and `trusts` (2, 2, 3, h / 2, w / 2), `near` (2, 3, h / 2, w / 2), masks of a neighbouring
        frame carried one step, times the trust in them, and `positions` (2,).
        """
        made = drawn(lambda: example(_stretch(pictures, rng), rng), lambda made: made is not None, self.wanted)
        assert made is not None
        return made

    def losses(self, network: nn.Module, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Cross-entropy of the hardest pixels, all of them at first and a quarter from half-time on, IoU, presence."""
        assert isinstance(network, MatchLite)
        features, known, target = evidence(network, batch)
        logits, presence = network(features, known)
        logits = logits[:, 0].float()
        is_known = target != IGNORE
        entropy = functional.binary_cross_entropy_with_logits(logits, (target == 1).float(), reduction="none")[is_known]
        hardest = max(_HARDEST, 1 - 2 * (1 - _HARDEST) * progress)
        there = functional.binary_cross_entropy_with_logits(presence.float(), _is_there(target).float())
        return {
            "entropy": entropy.topk(int(hardest * entropy.numel()), sorted=False).values.mean(),
            "iou": soft_iou_loss(logits, target),
            "presence": _PRESENCE_WEIGHT * there,
        }

    def validate(self, network: nn.Module, held_out: Sequence[Picture]) -> dict[str, float]:
        """On fixed stretches: how much better than the untrained fusion, in J where an object is there; and what else.

        `gain` is that of `score`, the mean of J where an object is there and of 1 or 0 where it is not (0: painted);
        `painted` and `base_painted` are the shares of the latter, `presence` is the share of right opinions on it.
        """
        assert isinstance(network, MatchLite)
        found, base, painted, base_painted, right, scores, base_scores = ([] for _ in range(7))  # type: ignore[var-annotated]
        device = next(network.parameters()).device
        for batch in self._batches(held_out, _VALIDATION_STRETCHES):
            features, known, target = evidence(network, {name: value.to(device) for name, value in batch.items()})
            logits, presence = network(features, known)
            there = _is_there(target)
            right += ((presence > 0) == there).tolist()
            seen = there.tolist()
            for masks, regions, paint, score in (
                (logits[:, 0] > 0, found, painted, scores),
                (_untrained(known), base, base_painted, base_scores),
            ):
                regions += [value for value, is_seen in zip(ious(masks, target), seen, strict=True) if is_seen]
                much = ((masks & (target == 0)).sum(dim=(1, 2)) > _PAINTED_PX).tolist()
                paint += [value for value, is_seen in zip(much, seen, strict=True) if not is_seen]
                score += [
                    value if is_seen else float(not too_much)
                    for value, is_seen, too_much in zip(ious(masks, target), seen, much, strict=True)
                ]
        means = [
            float(np.mean(values)) if values else 0.0
            for values in (scores, base_scores, found, base, painted, base_painted, right)
        ]
        names = "score", "base_score", "iou", "base_iou", "painted", "base_painted", "presence"
        return {"gain": means[0] - means[1], **dict(zip(names, means, strict=True))}

    def sheet(self, network: nn.Module, held_out: Sequence[Picture]) -> NDArray[np.uint8]:
        """Held-out stretches, a frame between its anchors: truth green, results in other colours."""
        assert isinstance(network, MatchLite)
        pictures = []
        for batch in self._batches(held_out, _SHEET_STRETCHES):
            features, known, _ = evidence(network, batch)
            results = iter((network(features, known)[0][:, 0] > 0).numpy())
            for index, used in enumerate(batch["objects"].tolist()):
                before, after, *frames = batch["pictures"][index].numpy()
                for place in range(FRAMES):
                    for number in range(sum(used)):
                        colour, truth = _COLOURS[number], batch["targets"][index, place, number].numpy() == 1
                        frames[place] = contour(contour(frames[place], truth, (0, 255, 0)), next(results), colour)
                for number in range(sum(used)):
                    one, other = batch["anchors"][index, :, number].numpy() > 127
                    before, after = contour(before, one, _COLOURS[number]), contour(after, other, _COLOURS[number])
                pictures.append(np.hstack([before, frames[0], after]))
        return tiles(pictures, columns=3)

    def _batches(self, held_out: Sequence[Picture], count: int) -> list[Batch]:
        """Always the same."""
        draw, size = Drawing(held_out, self.shares), self.schedule.batch
        count = examples(held_out, count)
        samples = [self.sample(draw, np.random.default_rng([_VALIDATION_SEED, number])) for number in range(count)]
        return [
            {
                name: torch.from_numpy(np.stack([each[name] for each in samples[start : start + size]]))
                for name in samples[0]
            }
            for start in range(0, count, size)
        ]


RECIPE: Recipe = MatchRecipe()


def _stretch(draw: Draw, rng: np.random.Generator) -> Stretch:
    """By chance from a clip, a composed one, or a picture; without clips, from pictures alone."""
    sources = list(_SOURCES) if clips_of(draw) else [still_stretch]
    shares = np.array([_SOURCES[each] for each in sources])
    return sources[int(rng.choice(len(sources), p=shares / shares.sum()))](draw, rng)


def evidence(network: MatchLite, batch: Batch) -> tuple[Features, Evidence, Tensor]:
    """What the engine would know of every object of a batch on every frame, and what is true: (M, h, w)."""
    count = len(batch["pictures"])
    with torch.autocast(batch["pictures"].device.type, enabled=False):  # small differences of similarity count
        pictures = batch["pictures"].flatten(0, 1).permute(0, 3, 1, 2).float()
        features = network.features(pictures)
        keys = features.key.view(count, -1, *features.key.shape[1:])
        masks = batch["anchors"].float() / 255
        memories = [memory(keys[:, place], masks[:, place]) for place in range(2)]
        memories = [
            _one_for_another(memories[place], memories[1 - place], batch["sides"][:, place]) for place in range(2)
        ]
        memories = [Memory(*(part.repeat_interleave(FRAMES, 0) for part in each)) for each in memories]
        readout = look_up(keys[:, 2:].flatten(0, 1), memories)
        priors, trusts, near = (batch[name].flatten(0, 1).float() / 255 for name in ("priors", "trusts", "near"))
        readout = told_apart(readout, near)
        known = gather(readout, priors, trusts, batch["positions"].flatten())
        is_used = batch["objects"].repeat_interleave(FRAMES, 0)
        objects = is_used.shape[1]
        base = known.base[:, 0]
        base = base.view(-1, objects, *base.shape[1:]) * is_used[..., None, None]
        rivals = against(base, torch.zeros_like(base[:, :1])).flatten(0, 1)[:, None]
        chosen = is_used.flatten().nonzero()[:, 0]
        known = Evidence(*(part[chosen] for part in known._replace(rivals=rivals)))
        frames = torch.arange(count * (2 + FRAMES), device=chosen.device).view(count, -1)[:, 2:].flatten()
        of_frame = frames[chosen // objects]
        target = batch["targets"].flatten(0, 2)[chosen]
        return Features(*(part[of_frame] for part in features)), known, target


def _one_for_another(wanted: Memory, other: Memory, is_there: Tensor) -> Memory:
    """An anchor, or the other one where it is not there."""
    pairs = zip(wanted, other, strict=True)
    return Memory(*(torch.where(is_there.view(-1, *(1,) * (one.ndim - 1)), one, two) for one, two in pairs))


def _is_there(target: Tensor) -> Tensor:
    """Whether anything of the object is to be seen: (M,) bool."""
    return (target == 1).sum(dim=(1, 2)) >= _LEAST_SEEN_PX


def _untrained(known: Evidence) -> Tensor:
    """The masks (M, h, w) bool that the fusion gives without the decoder."""
    return upsample(known.base, SIZE_HW)[:, 0] > 0.5
