"""Classification: labels, and what people or teachers say beside them."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from mien.errors import RecipeError
from mien.evaluation.humans import shares
from mien.faces import FaceBatch
from mien.losses import CRITERIA, cross_entropy, distillation
from mien.models import Classifier
from mien.training.tasks.faces import VALIDATION_BATCH, OnFaces
from mien.training.tasks.registry import Materials, TaskOptions, register
from mien.training.teachers import Teachers, stored_probabilities
from mien.transforms import Mixing


class ClassificationOptions(TaskOptions):
    """Settings of `classification`.

    loss: softmax cross-entropy or the L2 multi-class support-vector loss.
    smoothing: share of the answer that is spread evenly over all classes (Szegedy et al. 2016).
    votes: share of the answer that FER+'s raters give, by their votes, of faces that have them and at least
    half of them for the network's emotions.
    mix: two faces in one, as `Mixing` has it.
    """

    loss: Literal[tuple(CRITERIA)] = "cross_entropy"  # type: ignore[valid-type]
    smoothing: float = Field(0.0, ge=0, lt=1)
    votes: float = Field(0.0, ge=0, le=1)
    mix: Mixing = Mixing()

    @property
    def softened(self) -> bool:
        """Whether an answer is a distribution and no label."""
        return bool(self.smoothing or self.votes or self.mix)

    @model_validator(mode="after")
    def _distributions_fit(self) -> ClassificationOptions:
        if self.softened and self.loss != "cross_entropy":
            raise ValueError(f"smoothing, votes and mix need loss 'cross_entropy', not {self.loss!r}")
        return self


@register("classification", options=ClassificationOptions, network=Classifier)
class Classification(OnFaces):
    """A loss on labels; the same loss and accuracy on the validation split."""

    figures: tuple[str, ...] = ("loss", "accuracy")
    moved = (*OnFaces.moved, "answers")
    network: Classifier

    def __init__(self, options: ClassificationOptions, materials: Materials) -> None:
        super().__init__(materials)
        self.options = options
        self.on_labels = CRITERIA[options.loss]
        self.network.averages = self.on_labels.averages
        self.answers = self._answers(materials.train)

    def _answers(self, faces: FaceBatch) -> Tensor:
        """What is learned of each training face: (N, C) float32, rows summing to 1."""
        count = len(self.network.labels)
        answers = functional.one_hot(self.labels, count).double()
        if self.options.votes:
            voted = torch.from_numpy(shares(faces.votes, self.network.labels))
            known = voted.isfinite().all(dim=1, keepdim=True)
            if not known.any():
                raise RecipeError(
                    f"task.votes {self.options.votes}: {faces.source} holds no FER+ votes; "
                    "give data with them"
                )
            answers = torch.where(known, answers.lerp(voted, self.options.votes), answers)
        return (answers * (1 - self.options.smoothing) + self.options.smoothing / count).float()

    def loss(self, network: nn.Module, rows: Tensor, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss of the faces `rows` (B,), and the number of right answers among them.

        Of a mixed face the right answer is the one that most of it shows.
        """
        faces = self.prepare(rows, epoch)
        others, share = rows, torch.ones(len(rows), device=rows.device)
        if self.options.mix:
            faces, others, share = self.options.mix(
                faces,
                lambda each: self.prepare(each, epoch),
                of=self.size,
                seed=self.seed,
                epoch=epoch,
                rows=rows,
            )
        logits = network(faces, normalised=True).logits
        shown = torch.where(share >= 0.5, self.labels[rows], self.labels[others])
        correct = (logits.detach().argmax(1) == shown).sum()
        return self.criterion(logits, faces, rows, others, share), {"accuracy": correct}

    def criterion(self, logits: Tensor, faces: Tensor, rows: Tensor, others: Tensor, share: Tensor) -> Tensor:
        """The mean loss of a batch.

        Shape: logits (B, C); faces (B, K, S, S), what the network saw; rows and others (B,), the training
        faces in each, of which the first has the share (B,).
        """
        if not self.options.softened:
            return self.on_labels.loss(logits, self.labels[rows])
        return cross_entropy(logits, self._mixed(self.answers, rows, others, share))

    def _mixed(self, values: Tensor, rows: Tensor, others: Tensor, share: Tensor) -> Tensor:
        """(B, C): what belongs to two faces, by the share of the first."""
        return values[others].lerp(values[rows], share[:, None])

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

    teacher: a shipped network, a run folder, an .onnx file, or, where it sees 'face', an .npy file of
    probabilities (N, C), a row for each face that is trained on, in their order; `recipe:NAME` means the run
    of that recipe beside this one. Of several teachers the probabilities are averaged.
    alpha: weight of the labels; the rest is the teacher's. About 0.8 for a network teaching itself, 0.1 for
    a larger one (system C, 4.3).
    sees: whether the teacher judged each face once, as it is, or judges what the network is shown in every
    step, however it is turned, covered or mixed (Beyer et al. 2022, 'consistent teaching').
    """

    loss: Literal["cross_entropy"] = "cross_entropy"
    teacher: str | tuple[str, ...]
    alpha: float = Field(0.8, ge=0, le=1)
    sees: Literal["face", "same"] = "face"


@register("distillation", options=DistillationOptions, network=Classifier)
class Distillation(Classification):
    """α·cross-entropy + (1−α)·KL to a teacher's probabilities (system C, eq. 1).

    A mirrored face keeps the probabilities of the face as it was, unless the teacher sees the same.
    """

    moved = (*Classification.moved, "teacher")

    def __init__(self, options: DistillationOptions, materials: Materials) -> None:
        super().__init__(options, materials)
        self.alpha = options.alpha
        named = (options.teacher,) if isinstance(options.teacher, str) else options.teacher
        if options.sees == "same":
            self.teacher: Tensor | Teachers = Teachers(
                named, materials.network, materials.run, materials.precision
            )
            return
        probabilities = stored_probabilities(named, materials.train, materials.network.labels, materials.run)
        self.teacher = torch.from_numpy(probabilities)

    def criterion(self, logits: Tensor, faces: Tensor, rows: Tensor, others: Tensor, share: Tensor) -> Tensor:
        """Equation 1 of system C."""
        if isinstance(self.teacher, Teachers):
            taught = self.teacher.probabilities(faces)
        else:
            taught = self._mixed(self.teacher, rows, others, share)
        answers = self._mixed(self.answers, rows, others, share)
        return distillation(logits, answers, taught, alpha=self.alpha)
