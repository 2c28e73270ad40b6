"""Same or different: places on a map learned from pairs alone (system D)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from mien.errors import DataError
from mien.losses import all_pairs, contrast, pairs_of
from mien.models import Embedder
from mien.storage import write_json
from mien.training.tasks.faces import VALIDATION_BATCH, OnFaces
from mien.training.tasks.registry import Materials, TaskOptions, register
from mien.transforms import even, key, stratified, uniform

_PAIRS_AT_ONCE = 2_000_000
_FACES_AT_ONCE = 64

_ORDERS = {"proportions": stratified, "even": even}


class ContrastiveOptions(TaskOptions):
    """Settings of `contrastive`.

    margin: beyond which unlike faces no longer push each other apart. pairs: 'all' of a batch, or 'balanced':
    of the unlike pairs of the training faces as many as there are like ones, drawn once; the others are never
    seen. batches: each has the emotions in the 'proportions' of the training faces, or in 'even' numbers.
    snapshots: epochs after which the map is kept, 0 for before the first; snapshot_faces: training
    faces of each emotion on it.
    """

    margin: float = Field(1.0, gt=0)
    pairs: Literal["all", "balanced"] = "all"
    batches: Literal["proportions", "even"] = "proportions"
    snapshots: tuple[int, ...] = ()
    snapshot_faces: int = Field(60, ge=1)


@register("contrastive", options=ContrastiveOptions, network=Embedder)
class Contrastive(OnFaces):
    """The contrastive loss over all pairs of a batch, each face shown once.

    Every emotion needs two faces in each split.
    Validation: the loss over all pairs of the split, and how often the nearest other face is alike. A pair
    weighs there as it does in training: with balanced pairs unlike ones by the share of them that is kept,
    with even batches as if all emotions were equally frequent.
    """

    figures: tuple[str, ...] = ("loss", "nearest_alike")
    separable = False
    network: Embedder

    def __init__(self, options: ContrastiveOptions, materials: Materials) -> None:
        super().__init__(materials)
        for split, labels in (("training", self.labels), ("validation", self.validation_labels)):
            self._check_pairs(split, labels)
        self.options = options
        self.run = materials.run
        self.emotions = materials.network.labels
        counts = torch.bincount(self.labels).double()
        alike = float((counts * (counts - 1) / 2).sum())
        unlike = self.size * (self.size - 1) / 2 - alike
        self.share_kept = min(1.0, alike / unlike)

    def _check_pairs(self, split: str, labels: Tensor) -> None:
        names = self.network.labels
        for name, count in zip(names, torch.bincount(labels, minlength=len(names)).tolist(), strict=True):
            if count < 2:
                raise DataError(
                    f"{count} {split} faces of {name}: expected at least 2, a pair, of each emotion; "
                    "leave it out of data.labels, or choose another data.split_seed if subjects are split"
                )

    def order(self, seed: int, epoch: int) -> Tensor:
        """Every batch has each emotion in the share that the options ask for."""
        return _ORDERS[self.options.batches](seed, epoch, self.labels.cpu())

    def loss(self, network: nn.Module, rows: Tensor, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss over all pairs of the faces `rows` (B,); 0 where an epoch's last batch holds no pair."""
        places = self.embed(network, self.prepare(rows, epoch), normalised=True)
        kept = self.kept(rows) if self.options.pairs == "balanced" else None
        if len(rows) < 2 or (kept is not None and not kept.any()):
            return 0 * places.sum(), {}
        return all_pairs(places, self.labels[rows], margin=self.options.margin, kept=kept), {}

    def kept(self, rows: Tensor) -> Tensor:
        """Which pairs of the faces `rows` (B,) are in the balanced set: (P,) bool, as `pairs_of` has them.

        A pair is in it or not in every epoch alike.
        """
        first, second = rows[pairs_of(len(rows), rows.device)].sort(dim=0).values
        drawn = uniform(self.seed, "balanced", 0, first * self.size + second)[:, 0] < self.share_kept
        return drawn | (self.labels[first] == self.labels[second])

    @torch.inference_mode()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Mean loss over all pairs of the validation split, and the share whose nearest face is alike."""
        places = self.places(network, self.validation_images)
        labels = self.validation_labels
        weights = self._weights(labels)
        weight = total = alike = 0.0
        block = max(1, _PAIRS_AT_ONCE // len(places))
        for start in range(0, len(places), block):
            rows = torch.arange(start, min(start + block, len(places)), device=places.device)
            distance = torch.cdist(places[rows], places, compute_mode="donot_use_mm_for_euclid_dist")
            differs = labels[rows][:, None] != labels
            later = torch.arange(len(places), device=places.device) > rows[:, None]
            counted = later * weights[rows][:, None] * weights
            if self.options.pairs == "balanced":
                counted = torch.where(differs, counted * self.share_kept, counted)
            total += float((counted * contrast(distance, differs, margin=self.options.margin)).sum())
            weight += float(counted.sum())
            distance[torch.arange(len(rows)), rows] = torch.inf
            alike += float((~differs).gather(1, distance.argmin(1, keepdim=True)).sum())
        return {"loss": total / weight, "nearest_alike": alike / len(places)}

    def _weights(self, labels: Tensor) -> Tensor:
        """What a face of each label counts, the product for a pair: (N,) float64."""
        if self.options.batches == "proportions":
            return torch.ones(len(labels), dtype=torch.float64, device=labels.device)
        return 1 / torch.bincount(labels)[labels].double()

    @torch.inference_mode()
    def places(self, network: nn.Module, images: Tensor) -> Tensor:
        """Where the network puts raw faces (N, 1, S, S): (N, D) float32."""
        network.eval()
        blocks = images.split(VALIDATION_BATCH)
        return torch.cat([self.embed(network, block.float()) for block in blocks])

    def embed(self, network: nn.Module, faces: Tensor, normalised: bool = False) -> Tensor:
        """Places of faces, raw or normalised: (N, D) float32."""
        places: Tensor = network(faces, normalised=normalised).embedding
        return places.float()

    def observe(self, network: nn.Module, epoch: int) -> None:
        """Keeps the map of some training faces, the same in every epoch, where the options ask for it."""
        if epoch not in self.options.snapshots:
            return
        rows = self._shown()
        points = self.places(network, self.images[rows]).cpu().numpy()
        names = [self.emotions[label] for label in self.labels[rows].tolist()]
        found = {"epoch": epoch, "split": "training", "labels": names, "points": np.round(points, 4).tolist()}
        write_json(snapshot(self.run, epoch), found)

    def _shown(self) -> Tensor:
        drawn = np.random.default_rng(key(self.seed, "snapshot")).permutation(self.size)
        order = torch.from_numpy(drawn).to(self.labels.device)
        each = [
            order[self.labels[order] == label][: self.options.snapshot_faces]
            for label in self.labels.unique()
        ]
        return torch.cat(each)

    def frozen(self, run: Path) -> HeadAlone:
        """The same task for a stage in which the trunk keeps its weights. run: folder for what it stores."""
        return HeadAlone(self, run)


class HeadAlone(Contrastive):
    """The head of an embedder on its trunk's maps, which are computed once for every face and kept.

    The maps take 4 bytes a number: 260 kB a face for `siamese_alexnet`.
    """

    def __init__(self, whole: Contrastive, run: Path) -> None:
        self.__dict__.update(whole.__dict__)
        self.run = run
        embedder = whole.network
        self.network = embedder.head  # type: ignore[assignment]
        embedder.eval()
        self.images, self.validation_images = (
            _maps(embedder, images) for images in (whole.images, whole.validation_images)
        )

    def prepare(self, rows: Tensor, epoch: int) -> Tensor:
        """The kept maps of the faces `rows` (B,): (B, M, h, w)."""
        return self.images[rows]

    def embed(self, network: nn.Module, faces: Tensor, normalised: bool = False) -> Tensor:
        """Places of faces by their maps: (N, M, h, w) → (N, D) float32."""
        places: Tensor = network(faces)
        return places.float()


@torch.no_grad()
def _maps(embedder: Embedder, images: Tensor) -> Tensor:
    """What the trunk gives for raw faces (N, 1, S, S): (N, M, h, w) float32."""
    shape = embedder(images[:1].float()).maps.shape[1:]
    # Filled in place: joining blocks would need the memory twice.
    maps = torch.empty(len(images), *shape, device=images.device)
    for start in range(0, len(images), _FACES_AT_ONCE):
        block = slice(start, start + _FACES_AT_ONCE)
        maps[block] = embedder(images[block].float()).maps
    return maps


def snapshot(run: Path, epoch: int) -> Path:
    """Where the map after an epoch is kept in a run folder."""
    return run / "maps" / f"epoch-{epoch:05d}.json"
