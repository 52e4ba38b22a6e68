"""Train a network of your own on an export of LIS, and have it segment a clip that it has never seen.

A training loop as anybody writes one: pycocotools reads, torch learns, every category is a class. Of LIS only the
backbone is used (ImageNet's weights, nothing else learnt); put another in its place. Commands: docs/train-on-it.md.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pycocotools.coco import COCO
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate
from torch.utils.data import DataLoader, Dataset, RandomSampler

from stages.nn.lite import Lite, channels, from_rgb
from stages.weights import load_network

SIZE = WIDTH, HEIGHT = 336, 192  # at which pictures are learnt from and segmented
BATCH, UNKNOWN = 8, 255


class Frames(Dataset[tuple[Tensor, Tensor]]):
    """The pictures of one COCO file; as training examples parts of them, half of these mirrored."""

    def __init__(self, annotations: Path) -> None:
        self.coco = COCO(annotations)
        self.folder = annotations.absolute().parents[1] / "images"
        self.images = self.coco.loadImgs(self.coco.getImgIds())
        self.classes = {category: number for number, category in enumerate(self.coco.getCatIds(), start=1)}

    def picture(self, index: int) -> Image.Image:
        """In RGB, as large as it is."""
        return Image.open(self.folder / self.images[index]["file_name"]).convert("RGB")

    def labels(self, index: int) -> np.ndarray:
        """(H, W) uint8: 0 background, classes from 1, 255 where nobody knows (a crowd)."""
        image = self.images[index]
        labels = np.zeros((image["height"], image["width"]), np.uint8)
        for annotation in self.coco.imgToAnns[image["id"]]:
            number = UNKNOWN if annotation["iscrowd"] else self.classes[annotation["category_id"]]
            labels[self.coco.annToMask(annotation) == 1] = number
        return labels

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """(3, HEIGHT, WIDTH) float32 RGB in [0, 255], and (HEIGHT, WIDTH) int64."""
        picture, labels = self.picture(index), Image.fromarray(self.labels(index))
        left, top, right, bottom = (torch.rand(4) / 4 * torch.tensor(picture.size * 2)).tolist()
        box = left, top, picture.width - right, picture.height - bottom
        pixels = torch.from_numpy(np.array(picture.resize(SIZE, Image.Resampling.BILINEAR, box)))
        ids = torch.from_numpy(np.array(labels.resize(SIZE, Image.Resampling.NEAREST, box)))
        mirrored = [1] if torch.rand(1) < 0.5 else []
        return pixels.flip(mirrored).permute(2, 0, 1).float(), ids.flip(mirrored).long()


class UNet(nn.Module):
    """The backbone's features at strides 16, 8, 4 and 2, joined from coarse to fine."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = Lite(deepest=16)
        self.backbone.load_state_dict(load_network("match:trunk", None).get_submodule("trunk").state_dict())
        self.backbone.freeze_early()
        inputs, self.joins = channels(16), nn.ModuleList()
        for stride, width in {8: 64, 4: 48, 2: 32}.items():
            convolution = nn.Conv2d(inputs + channels(stride), width, 3, padding=1)
            self.joins.append(nn.Sequential(convolution, nn.GroupNorm(8, width), nn.ReLU()))
            inputs = width
        self.head = nn.Conv2d(inputs, classes + 1, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, h, w) float32 RGB in [0, 255] -> (N, classes + 1, h, w) logits."""
        *finer, x = self.backbone(from_rgb(pictures))
        for join, features in zip(self.joins, reversed(finer), strict=True):
            x = join(torch.cat((interpolate(x, features.shape[-2:], mode="bilinear"), features), dim=1))
        return interpolate(self.head(x), pictures.shape[-2:], mode="bilinear")

    @torch.no_grad()
    def segment(self, picture: Image.Image) -> np.ndarray:
        """(H, W) uint8 classes of a picture, at its own size."""
        pixels = torch.from_numpy(np.array(picture.resize(SIZE), np.float32)).permute(2, 0, 1)[None]
        logits = interpolate(self(pixels), picture.size[::-1], mode="bilinear")
        return logits[0].argmax(0).numpy().astype(np.uint8)


def train(network: UNet, frames: Frames, steps: int) -> Iterator[float]:
    """Learn; gives the loss of every step."""
    optimiser = torch.optim.AdamW([{"params": part.parameters()} for part in network.children()])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=[2e-4, 2e-3, 2e-3], total_steps=steps)
    for pictures, labels in DataLoader(frames, BATCH, sampler=RandomSampler(frames.images, True, steps * BATCH)):
        loss = cross_entropy(network(pictures), labels, ignore_index=UNKNOWN)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        yield loss.item()


def mean_mask(frames: Frames) -> Image.Image:
    """What needs no network: where objects lie most often, as many pixels as they cover on average."""
    masks = [Image.fromarray(frames.labels(index) % UNKNOWN).resize(SIZE, 0) for index in range(len(frames.images))]
    share = np.mean([np.array(mask) > 0 for mask in masks], axis=0)
    return Image.fromarray((share > np.quantile(share, 1 - share.mean())).astype(np.uint8))


def iou(found: np.ndarray, right: np.ndarray) -> float:
    """Of what is no background, where it is known; 1 if both are empty."""
    both = np.stack([found, right])[:, right != UNKNOWN] > 0
    return float(both.all(0).sum() / both.any(0).sum()) if both.any() else 1.0


def main(words: list[str] | None = None) -> None:
    """Train, segment, compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--train", type=Path, required=True, help="COCO file to learn from")
    parser.add_argument("--val", type=Path, required=True, help="COCO file whose pictures are segmented")
    parser.add_argument("--truth", type=Path, help="folder: compare with <seq>/<stem>.png (ids), not with --val")
    parser.add_argument("--out", type=Path, required=True, help="folder for the network and the masks")
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args(words)
    torch.manual_seed(1)
    learnt, held_out = Frames(given.train), Frames(given.val)

    def compare(what: str, segment: Callable[[Image.Image], np.ndarray]) -> None:
        values = []
        for index, image in enumerate(held_out.images):
            mask, name = segment(held_out.picture(index)), Path(image["file_name"]).with_suffix(".png")
            truth = given.truth and np.array(Image.open(given.truth / name))
            values.append(iou(mask, held_out.labels(index) if truth is None else truth))
            (given.out / what / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(given.out / what / name)
        print(f"{what}: IoU {np.mean(values):.3f}, mean of {len(values)} frames")

    network, average = UNet(len(learnt.classes)), mean_mask(learnt)
    compare("mean", lambda picture: np.array(average.resize(picture.size, 0)))
    compare("untrained", network.segment)
    for step, loss in enumerate(train(network, learnt, given.steps), start=1):
        if step % 20 == 0:
            print(f"step {step}: loss {loss:.3f}, {time.process_time():.0f} s of CPU", flush=True)
    compare("trained", network.segment)
    torch.save(network.state_dict(), given.out / "network.pt")


if __name__ == "__main__":
    main()
