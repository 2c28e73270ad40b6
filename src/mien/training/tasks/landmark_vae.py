"""System E's Models 1 to 3: the evidence lower bound over landmarks, and a prior that triplets shape."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from mien.errors import DataError
from mien.landmarks import LandmarkBatch, Triplets
from mien.losses import divergence, log_likelihood, triplet_penalty
from mien.models.landmark_vae import Encoded, LandmarkVAE
from mien.training.optimisers import Progress
from mien.training.task import Task
from mien.training.tasks.registry import LandmarkMaterials, TaskOptions, register
from mien.transforms import key

VALIDATION_BATCH = 8192


class LandmarkVAETaskOptions(TaskOptions):
    """Settings of `landmark_vae`.

    reconstruction_variance: σ² in units of the squared distance between the eyes. topological_variance: γ of
    the triplets' prior; none given, there is no such prior (Models 1 and 2). anneal: share of all iterations
    over which β rises from 0 to 1: 0, 0.5 and 1 are the thesis's none, 50,000 and 100,000 of 100,000.
    anneal_all: the triplets' prior rises with it. samples: L, draws of z for a face. triplet_batch: V,
    triplets of a step. triplet_samples: M, draws of z for their faces (Table 6.5).
    """

    reconstruction_variance: float = Field(1e-3, gt=0)
    topological_variance: float | None = Field(None, gt=0)
    anneal: float = Field(0.0, ge=0, le=1)
    anneal_all: bool = False
    samples: int = Field(3, ge=1)
    triplet_batch: int = Field(10, ge=1)
    triplet_samples: int = Field(10, ge=1)


@register("landmark_vae", options=LandmarkVAETaskOptions, network=LandmarkVAE)
class LandmarkVAETask(Task):
    """The negative evidence lower bound of a minibatch, divided by the number N of training faces.

    1/B Σ_b [−log p(x_b | z_b, y_b) + β·KL_b] + τ·T/(N·V·γ) Σ_v w_v·ln(1 + exp(d₊ − d₋)): system E, eqs. 4.1,
    4.6 and 4.16, where τ = β if the whole prior is annealed and 1 if the divergence alone is.
    Triplets are drawn with replacement. Validation: the bound at β = τ = 1, with noise that is the same
    every time, for the selection by the thesis's 6.4; the mean squared error, the divergence and, of a prior
    with triplets, the share of validation triplets that the means satisfy.
    """

    figures: tuple[str, ...] = ("elbo", "squared_error", "divergence")
    network: LandmarkVAE

    def __init__(self, options: LandmarkVAETaskOptions, materials: LandmarkMaterials) -> None:
        assert isinstance(materials.network, LandmarkVAE)
        self.network, self.options, self.seed = materials.network, options, materials.seed
        self.beta = 0.0 if options.anneal else 1.0
        self.training = _Faces(self.network, materials.train)
        self.validation = _Faces(self.network, materials.validation)
        self.triplets: _Judged | None = None
        if options.topological_variance is not None:
            self.triplets = _Judged(materials.triplets, materials.train, "training")
            self.validation_triplets = _Judged(
                materials.validation_triplets, materials.validation, "validation"
            )
            self.figures = (*self.figures, "satisfied")

    @property
    def size(self) -> int:
        """Number of training faces."""
        return len(self.training.x)

    def to(self, device: torch.device) -> None:
        """Moves both splits and their triplets to the device."""
        for part in (self.training, self.validation):
            part.to(device)
        if self.triplets is not None:
            for judged in (self.triplets, self.validation_triplets):
                judged.to(device)

    def begin(self, at: Progress) -> None:
        """β rises in a straight line with the iterations (thesis 6.4)."""
        anneal = self.options.anneal
        self.beta = min(1.0, at.step / (anneal * at.steps)) if anneal else 1.0

    def loss(self, network: nn.Module, rows: Tensor, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The class's equation for the faces `rows` (B,), and the sum of their divergences."""
        options, triplets = self.options, self.triplets
        judged = rows[:0]
        if triplets is not None:
            drawn = torch.randint(len(triplets.rows), (options.triplet_batch,), device=rows.device)
            judged = triplets.rows[drawn].T.reshape(-1)
        # The faces of both terms go through the encoder together; those of triplets are not decoded.
        x, y = self.training.at(torch.cat([rows, judged]))
        found: Encoded = network(x, y, options.samples, decoded=len(rows))
        fit = -log_likelihood(x[: len(rows)], found.faces, variance=options.reconstruction_variance)
        kl = divergence(found.mean[: len(rows)], found.log_variance[: len(rows)]).sum(dim=1)
        loss = fit.mean() + self.beta * kl.mean()
        if triplets is not None:
            penalty = self._penalty(found, len(rows), triplets.weights[drawn])
            loss = loss + self._tau * len(triplets.rows) / self.size * penalty.mean()
        return loss, {"divergence": kl.detach().sum()}

    @property
    def _tau(self) -> float:
        return self.beta if self.options.anneal_all else 1.0

    def _penalty(self, found: Encoded, start: int, weights: Tensor) -> Tensor:
        """The triplets' terms over γ: their faces are the encoded ones from `start` on, (V,)."""
        mean, log_variance = found.mean[start:], found.log_variance[start:]
        noise = torch.randn(self.options.triplet_samples, *mean.shape, device=mean.device)
        z = mean + torch.exp(0.5 * log_variance) * noise
        gamma = self.options.topological_variance
        assert gamma is not None
        reference, nearer, farther = z.unflatten(1, (3, -1)).unbind(1)
        return triplet_penalty(reference, nearer, farther, weights) / gamma

    @torch.inference_mode()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """The bound and its parts per validation face, in 32 bits whatever it trains in."""
        network.eval()
        own, options = self.network, self.options
        with torch.random.fork_rng():
            torch.manual_seed(key(self.seed, "validation"))
            bound = error = kl = 0.0
            means, log_variances = [], []
            for rows in torch.arange(len(self.validation.x)).split(VALIDATION_BATCH):
                x, y = self.validation.at(rows.to(self.validation.x.device))
                found = own(x, y, options.samples)
                likely = log_likelihood(x, found.faces, variance=options.reconstruction_variance)
                parts = divergence(found.mean, found.log_variance).sum(dim=1)
                bound += float((likely - parts).sum())
                error += float((found.faces - x).square().mean(dim=(0, 2)).sum())
                kl += float(parts.sum())
                means.append(found.mean)
                log_variances.append(found.log_variance)
            n = len(self.validation.x)
            figures = {"elbo": bound / n, "squared_error": error / n, "divergence": kl / n}
            if self.triplets is not None:
                figures |= self._judged(torch.cat(means), torch.cat(log_variances), figures["elbo"])
        return figures

    def _judged(self, mean: Tensor, log_variance: Tensor, bound: float) -> dict[str, float]:
        """The bound with the validation triplets' prior, and the share of them that the means satisfy."""
        rows = self.validation_triplets.rows.T.reshape(-1)
        faces = Encoded(mean[rows], log_variance[rows], mean[:0], mean[:0])
        penalty = self._penalty(faces, 0, self.validation_triplets.weights)
        reference, nearer, farther = mean[rows].unflatten(0, (3, -1))
        closer = (reference - nearer).norm(dim=1) <= (reference - farther).norm(dim=1)
        return {"elbo": bound - float(penalty.sum()) / len(mean), "satisfied": float(closer.double().mean())}


class _Faces:
    """A split on the device: centred faces x (N, 249), and neutral faces y where the network takes them."""

    def __init__(self, network: LandmarkVAE, faces: LandmarkBatch) -> None:
        x, y = network.inputs(faces)
        self.x = network.centred(x)
        self.y = None if y is None else network.centred(y)

    def to(self, device: torch.device) -> None:
        self.x = self.x.to(device)
        self.y = None if self.y is None else self.y.to(device)

    def at(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """The faces `rows` (B,) and their neutral faces."""
        return self.x[rows], None if self.y is None else self.y[rows]


class _Judged:
    """A split's triplets as rows (T, 3) of its faces; weights are the judges' agreement (5.2.2)."""

    def __init__(self, triplets: Triplets | None, faces: LandmarkBatch, split: str) -> None:
        if triplets is None or not len(triplets):
            raise DataError(
                f"no {split} triplets for {faces.source or 'the data'}: expected triplets.csv beside the "
                'faces, or data.triplets = "rules" with labelled faces'
            )
        self.rows = torch.from_numpy(triplets.rows(faces))
        self.weights = torch.from_numpy(triplets.agreement.astype(np.float32))

    def to(self, device: torch.device) -> None:
        self.rows, self.weights = self.rows.to(device), self.weights.to(device)
