"""System E's networks: variational autoencoders over 83 landmarks, with and without a neutral face."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from mien.landmarks import LandmarkBatch
from mien.models.landmark_network import COORDINATES, LandmarkNetwork
from mien.models.registry import LANDMARKS, Options

_FACES_AT_ONCE = 8192

_CHANCES = 65_536
"""What two bytes can be."""

Width = Annotated[int, Field(ge=1)]


class Encoded(NamedTuple):
    """Named outputs. z is drawn from N(mean, exp(log_variance)).

    mean, log_variance: (N, K), of the approximate posterior. z: (L, N, K). faces: (L, D, 249), decoded from
    the first D faces' z in prepared coordinates less the training mean, as `centred` gives them.
    """

    mean: Tensor
    log_variance: Tensor
    z: Tensor
    faces: Tensor


class _KeptELU(torch.autograd.Function):
    """ELU and dropout at once, in the memory of their input."""

    @staticmethod
    def forward(ctx: Any, units: Tensor, keep: float) -> Tensor:
        """units: any shape, overwritten. What is kept is scaled by 1 / keep."""
        count = units.numel()
        numbers = torch.empty((count + 3) // 4, dtype=torch.int64, device=units.device)
        numbers.random_(-(2**63), None)
        words = numbers.view(torch.int16)[:count].view(units.shape)
        kept = torch.empty_like(units)
        torch.lt(words, round(keep * _CHANCES) - _CHANCES // 2, out=kept)
        torch.ops.aten.elu_(units, 1.0, 1 / keep)
        units.mul_(kept)
        ctx.mark_dirty(units)
        ctx.save_for_backward(units, kept)
        ctx.scale = 1 / keep
        return units

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """ELU's gradient where a unit was kept, which its result tells, and 0 elsewhere."""
        result, kept = ctx.saved_tensors
        inwards: Tensor = torch.ops.aten.elu_backward(gradients[0], 1.0, ctx.scale, 1.0, True, result)
        return inwards.mul_(kept), None


class KeptELU(nn.Module):
    """ELU, and in training dropout behind it: each unit is kept with a probability.

    Two bytes of a whole random number decide on a unit, so that the probability is exact to 1/65,536, and
    both are computed in place. With torch's own layers a step on a processor takes half as long again.
    """

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.keep = keep

    def forward(self, units: Tensor) -> Tensor:
        """Any shape to the same; the units given are overwritten."""
        if not self.training or round(self.keep * _CHANCES) == _CHANCES:
            return nn.functional.elu(units)
        kept: Tensor = _KeptELU.apply(units, self.keep)
        return kept


def dense(widths: list[int], keep: float) -> nn.Sequential:
    """Fully connected layers with ELU and dropout between them; the last one is linear."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), KeptELU(keep)]
    return nn.Sequential(*layers[:-1])


class LandmarkVAEOptions(Options):
    """Settings of `landmark_vae`.

    encoder: hidden units between input and latent space. latent: dimensions K. decoder: hidden units between
    latent space and output; none given: the encoder's, reversed. neutral: whether the person's neutral face
    is an input to both, as in Models 2 and 3. keep: probability with which a hidden unit is kept in training.
    """

    encoder: tuple[Width, ...] = Field((240, 120, 60), min_length=1)
    latent: int = Field(30, ge=1)
    decoder: tuple[Width, ...] = ()
    neutral: bool = False
    keep: float = Field(0.9, gt=0, le=1)


@LANDMARKS.register(
    "landmark_vae",
    options=LandmarkVAEOptions,
    summary="Dense layers to a Gaussian over latent dimensions and back; with the neutral face, or without.",
    source="System E, chapter 4; ELU and keep probability of 6.4; layers of Tables 6.6 to 6.21.",
)
class LandmarkVAE(LandmarkNetwork):
    """Models 1 (no neutral face), 2 and 3 (with it); the triplet prior of Model 3 is the task's."""

    mean_face: Tensor

    def __init__(self, options: LandmarkVAEOptions, labels: tuple[str, ...]) -> None:
        super().__init__(labels)
        self.options = options.model_dump(mode="json")
        self.neutral = options.neutral
        self.latent = options.latent
        beside = COORDINATES if options.neutral else 0
        decoder = options.decoder or options.encoder[::-1]
        self.encoder = dense([COORDINATES + beside, *options.encoder, 2 * options.latent], options.keep)
        self.decoder = dense([options.latent + beside, *decoder, COORDINATES], options.keep)
        self.register_buffer("mean_face", torch.zeros(COORDINATES))

    def fit(self, faces: LandmarkBatch) -> None:
        """Takes the mean of the training faces along each coordinate (thesis 6.2)."""
        mean = faces.points.reshape(len(faces), COORDINATES).mean(axis=0, dtype=np.float64)
        self.mean_face.copy_(torch.from_numpy(mean))

    def centred(self, faces: Tensor) -> Tensor:
        """Prepared faces (…, 249) less the training mean: what the layers see and give."""
        return faces - self.mean_face

    def encode(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """Centred faces x, neutral ones y (N, 249) → the posterior's mean and log variance, (N, K) each."""
        given = x if y is None else torch.cat([x, y], dim=1)
        mean, log_variance = self.encoder(given).float().chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Latent vectors z (L, N, K) and centred neutral faces y (N, 249) → centred faces (L, N, 249)."""
        first, activation, *rest = self.decoder
        assert isinstance(first, nn.Linear)
        units = nn.functional.linear(z.flatten(0, 1), first.weight[:, : self.latent], first.bias)
        if y is not None:
            # The layer over z and y together; y's part is the same for all samples of a face.
            beside = nn.functional.linear(y, first.weight[:, self.latent :])
            units = units.unflatten(0, z.shape[:2]) + beside
        # Activations overwrite what they are given: a view of another tensor would be copied.
        units = activation(units).view(-1, first.out_features)
        for layer in rest:
            units = layer(units)
        return units.float().unflatten(0, z.shape[:2])

    def forward(self, x: Tensor, y: Tensor | None, samples: int, decoded: int | None = None) -> Encoded:
        """Centred faces x and neutral faces y (N, 249) through both halves.

        samples: L, draws of z for each face. decoded: D, how many faces' z are decoded, the first; None: all.
        Training comes in by this door: what makes a network ready for a device or precision wraps it alone.
        """
        mean, log_variance = self.encode(x, y)
        noise = torch.randn(samples, *mean.shape, device=mean.device)
        z = mean + torch.exp(0.5 * log_variance) * noise
        neutral = None if y is None else y[:decoded]
        return Encoded(mean, log_variance, z, self.decode(z[:, :decoded], neutral))

    @torch.inference_mode()
    def posterior(self, faces: LandmarkBatch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and log variance of prepared faces' posteriors, (N, K) float64 each.

        Raises: ModelError as `inputs`.
        """
        x, y = self.inputs(faces)
        means, log_variances = [], []
        for start in range(0, len(x), _FACES_AT_ONCE):
            block = slice(start, start + _FACES_AT_ONCE)
            mean, log_variance = self.encode(
                self.centred(x[block]), None if y is None else self.centred(y[block])
            )
            means.append(mean)
            log_variances.append(log_variance)
        return torch.cat(means).double().numpy(), torch.cat(log_variances).double().numpy()

    def represent(self, faces: LandmarkBatch) -> NDArray[np.float64]:
        """The posterior's means: (N, K) float64."""
        return self.posterior(faces)[0]
