"""What every network of the project is: raw pixels in, named outputs out, its own normalisation inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from mien.errors import ModelError
from mien.evaluation.decision import Decision, undecided
from mien.models.normalisation import MeanImage, Normalisation
from mien.transforms import centre

if TYPE_CHECKING:
    from mien.models.published import Published


class Outputs(NamedTuple):
    """Named outputs of a classifier.

    logits: (N, C) class scores before calibration. embedding: (N, E), what the last layer sees.
    maps: (N, K, h, w), the last convolution's maps.
    """

    logits: Tensor
    embedding: Tensor
    maps: Tensor


class Embedded(NamedTuple):
    """Named outputs of an embedder. embedding: (N, D), places on the map. maps: as in `Outputs`."""

    embedding: Tensor
    maps: Tensor


class Network(nn.Module):
    """Base of all networks: `Classifier` and `Embedder` say what comes out.

    Shape: `forward` takes (N, 1, S, S) raw grey values 0…255, S = `input_size`; `body` takes the middle, or
    any other crop, of what `normalise` returns: (N, K, B, B), B = `body_size`. Training normalises first, so
    that augmentation stands between; test protocols that show several crops do likewise.
    labels: the emotions that it was trained on, in the order of its outputs where it has one for each.
    kind: what it is in the exported file's metadata. answers: the names of the file's outputs.
    published: the weights of others that its first layers can begin with.
    """

    kind: ClassVar[str] = ""
    answers: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[Published | None] = None
    architecture: str = ""
    input_size: int = 48

    def __init__(
        self, labels: tuple[str, ...], *, normalise: Normalisation | None = None, body_size: int | None = None
    ) -> None:
        super().__init__()
        if len(labels) < 2 or len(set(labels)) != len(labels):
            raise ModelError(f"labels {labels}: expected at least two different names")
        self.labels = labels
        self.options: dict[str, object] = {}
        self.body_size = body_size or self.input_size
        if self.body_size > self.input_size:
            raise ModelError(
                f"a crop of {self.body_size} pixels: expected at most {self.input_size}, the picture's side"
            )
        self.normalise = normalise or MeanImage(self.input_size)

    def body(self, faces: Tensor) -> Any:
        """Normalised faces (N, K, B, B) → the kind's named outputs."""
        raise NotImplementedError

    def forward(self, faces: Tensor, normalised: bool = False) -> Any:
        """Raw pixels (N, 1, S, S) in 0…255, or normalised faces (N, K, B, B), → the kind's named outputs.

        Training, too, comes in by this door: what makes a network ready for a device, a precision or several
        processes wraps it alone.
        """
        return self.body(faces if normalised else centre(self.normalise(faces), self.body_size))

    def answer(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """What the exported file gives for raw pixels (N, 1, S, S), in the order of `answers`."""
        raise NotImplementedError

    def metadata(self) -> dict[str, Any]:
        """What the exported file says of this kind of network besides what it says of all."""
        return {}

    def take(self, metadata: dict[str, Any]) -> None:
        """Puts back what `metadata` gave and the weights do not hold."""

    def parameter_count(self) -> int:
        """The number of trainable numbers."""
        return sum(parameter.numel() for parameter in self.parameters())


class Calibration(nn.Module):
    """Logits (…, C) times a factor and moved by a bias for each class; fitted after training.

    As it is made it leaves them as they are. Of a temperature all factors are 1/T and all biases 0.
    """

    scale: Tensor
    bias: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        # The decision holds them, and is told in the exported file: no state does.
        self.register_buffer("scale", torch.ones(classes), persistent=False)
        self.register_buffer("bias", torch.zeros(classes), persistent=False)

    def forward(self, logits: Tensor) -> Tensor:
        """(…, C) → (…, C), in the precision of the logits."""
        return logits * self.scale.to(logits.dtype) + self.bias.to(logits.dtype)


def _without_temperature(_: Classifier, state: dict[str, Tensor], prefix: str, *__: object) -> None:
    """Takes out what runs of earlier releases hold of a temperature that was not fitted yet."""
    state.pop(f"{prefix}temperature", None)


class Classifier(Network):
    """A network with one score for each of its labels; `forward` gives `Outputs`.

    averages: what protocols of several crops average: 'probabilities', or the 'scores' of a support-vector
    loss, which are no logarithms of anything. The loss that a network is trained with sets it.
    """

    kind = "classifier"
    answers = ("probabilities", *Outputs._fields)
    averages: Literal["probabilities", "scores"] = "probabilities"

    def __init__(
        self, labels: tuple[str, ...], *, normalise: Normalisation | None = None, body_size: int | None = None
    ) -> None:
        super().__init__(labels, normalise=normalise, body_size=body_size)
        self.calibration = Calibration(len(labels))
        self.register_load_state_dict_pre_hook(_without_temperature)
        self.decide(undecided(len(labels)))

    def decide(self, decision: Decision) -> None:
        """Takes how probabilities are made of logits, and when a reading is unsure; both are exported."""
        self.decision = decision
        self.calibration.scale.copy_(torch.tensor(decision.scaling.scale))
        self.calibration.bias.copy_(torch.tensor(decision.scaling.bias))

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Calibrated probabilities (N, C): softmax of the scaled logits."""
        return torch.softmax(self.calibration(self(pixels).logits), dim=1)

    def answer(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Calibrated probabilities, then `Outputs`."""
        outputs = self(pixels)
        return (torch.softmax(self.calibration(outputs.logits), dim=1), *outputs)

    def metadata(self) -> dict[str, Any]:
        """What is averaged over crops, and the decision."""
        return {"averages": self.averages, **self.decision.to_metadata()}

    def take(self, metadata: dict[str, Any]) -> None:
        """Takes the decision, and what is averaged over crops; files of the first release do not say that."""
        self.averages = metadata.get("averages", self.averages)
        self.decide(Decision.from_metadata(metadata))


class Embedder(Network):
    """A network that gives each face a place on a map; `forward` gives `Embedded`.

    trunk: normalised faces (N, K, B, B) → maps (N, M, h, w). head: maps → places (N, D). A stage of training
    may leave the trunk as it is and learn the head alone.
    dimensions: D.
    """

    kind = "embedding"
    answers = Embedded._fields
    trunk: nn.Module
    head: nn.Module
    dimensions: int = 2

    def body(self, faces: Tensor) -> Embedded:
        """(N, K, B, B) → places (N, D) and the trunk's maps (N, M, h, w)."""
        maps = self.trunk(faces)
        return Embedded(self.head(maps), maps)

    def answer(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """`Embedded`."""
        return tuple(self(pixels))

    def metadata(self) -> dict[str, Any]:
        """The number of dimensions of the map."""
        return {"dimensions": self.dimensions}
