"""Classification: labels only, or labels and a teacher's stored probabilities."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mien.losses import CRITERIA, distillation
from mien.models import Classifier
from mien.training.tasks.faces import VALIDATION_BATCH, OnFaces
from mien.training.tasks.registry import Materials, TaskOptions, register
from mien.training.teachers import stored_probabilities


class ClassificationOptions(TaskOptions):
    """Settings of `classification`. loss: softmax cross-entropy or the L2 multi-class support-vector loss."""

    loss: Literal[tuple(CRITERIA)] = "cross_entropy"  # type: ignore[valid-type]


@register("classification", options=ClassificationOptions, network=Classifier)
class Classification(OnFaces):
    """A loss on labels; the same loss and accuracy on the validation split."""

    figures: tuple[str, ...] = ("loss", "accuracy")
    network: Classifier

    def __init__(self, options: ClassificationOptions, materials: Materials) -> None:
        super().__init__(materials)
        self.on_labels = CRITERIA[options.loss]
        self.network.averages = self.on_labels.averages

    def loss(self, network: nn.Module, rows: Tensor, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss of the faces `rows` (B,), and the number of right answers among them."""
        logits = network(self.prepare(rows, epoch), normalised=True).logits
        labels = self.labels[rows]
        correct = (logits.detach().argmax(1) == labels).sum()
        return self.criterion(logits, labels, rows), {"accuracy": correct}

    def criterion(self, logits: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
        """The mean loss of a batch: logits (B, C), labels (B,), and which training faces they are (B,)."""
        return self.on_labels.loss(logits, labels)

    @torch.inference_mode()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Mean loss on labels and accuracy on the validation split, each face once."""
        network.eval()
        loss = correct = 0.0
        for start in range(0, len(self.validation_images), VALIDATION_BATCH):
            block = slice(start, start + VALIDATION_BATCH)
            labels = self.validation_labels[block]
            logits = network(self.validation_images[block].float()).logits
            loss += float(self.on_labels.loss(logits, labels)) * len(labels)
            correct += float((logits.argmax(1) == labels).sum())
        n = len(self.validation_images)
        return {"loss": loss / n, "accuracy": correct / n}


class DistillationOptions(ClassificationOptions):
    """Settings of `distillation`.

    teacher: a shipped network, a run folder, an .onnx file, or an .npy file of probabilities (N, C) in the
    training split's order; `recipe:NAME` means the run of that recipe beside this one.
    alpha: weight of the labels; the rest is the teacher's. About 0.8 for a network teaching itself, 0.1 for
    a larger one (system C, 4.3).
    """

    loss: Literal["cross_entropy"] = "cross_entropy"
    teacher: str
    alpha: float = Field(0.8, ge=0, le=1)


@register("distillation", options=DistillationOptions, network=Classifier)
class Distillation(Classification):
    """α·cross-entropy + (1−α)·KL to a teacher's stored probabilities (system C, eq. 1).

    A mirrored face keeps the probabilities of the face as it was.
    """

    def __init__(self, options: DistillationOptions, materials: Materials) -> None:
        super().__init__(options, materials)
        self.alpha = options.alpha
        probabilities = stored_probabilities(
            options.teacher, materials.train, materials.network.labels, materials.run
        )
        self.teacher = torch.from_numpy(probabilities)

    def to(self, device: torch.device) -> None:
        """Moves the data and the teacher's probabilities to the device."""
        super().to(device)
        self.teacher = self.teacher.to(device)

    def criterion(self, logits: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
        """Equation 1 of system C."""
        return distillation(logits, labels, self.teacher[rows], alpha=self.alpha)
