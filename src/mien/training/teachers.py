"""What teachers say: of the training faces, once and stored with the run, or of what a step shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mien.errors import DataError, RecipeError
from mien.evaluation.calibration import softmax
from mien.faces import FaceBatch
from mien.inference.lookup import find_model
from mien.models import Classifier, Network
from mien.models.onnx_file import restore
from mien.storage import atomic

RECIPE_PREFIX = "recipe:"


def run_folder_name(recipe: str) -> str:
    """The folder that a recipe's run has beside those of other recipes: `c/final` → `c-final`."""
    return recipe.replace("/", "-")


def stored_probabilities(
    teachers: Sequence[str], faces: FaceBatch, labels: tuple[str, ...], run: Path
) -> np.ndarray:
    """Mean softmax probabilities (N, C) float32 of teachers on the faces, in their order, at temperature 1.

    teachers: as in `DistillationOptions`. They are kept as `teacher.npy` in the run folder, so that a resumed
    run learns from the very same numbers.
    Raises: RecipeError when a teacher's run is missing or it knows other labels; ModelError when it is no
    network; DataError when they are no probabilities of that shape.
    """
    kept = run / "teacher.npy"
    if kept.exists():
        return _checked(_read(kept), str(kept), (len(faces), len(labels)))
    told = [
        _checked(
            _read(Path(name)) if name.endswith(".npy") else _infer(name, faces, labels, run),
            name,
            (len(faces), len(labels)),
        )
        for name in teachers
    ]
    probabilities = np.asarray(np.mean(told, axis=0), np.float32)
    with atomic(kept) as temporary:
        # numpy adds its own suffix to a name without it; ours has it.
        np.save(temporary, probabilities, allow_pickle=False)
    return probabilities


def _checked(probabilities: np.ndarray, teacher: str, shape: tuple[int, int]) -> np.ndarray:
    if probabilities.shape != shape:
        raise DataError(
            f"teacher {teacher} gives probabilities of shape {probabilities.shape}: expected {shape}, "
            "one row a training face"
        )
    if not np.isfinite(probabilities).all() or np.abs(probabilities.sum(axis=1) - 1).max() > 1e-3:
        raise DataError(f"teacher {teacher} gives rows that are no probabilities: expected each to sum to 1")
    return probabilities


class Teachers:
    """Networks that judge what the one that learns is shown: the mean of their probabilities.

    Their files are copied into the run folder, so that a resumed run learns from the very same.
    precision: that of training.
    Raises: RecipeError when a teacher's run is missing, or it knows other labels, sees faces of another size,
    or normalises them otherwise: what it is shown was normalised for the one that learns; ModelError when it
    is no network.
    """

    def __init__(self, teachers: Sequence[str], network: Network, run: Path, precision: str) -> None:
        self.precision = precision
        self.networks = []
        files = {}
        for number, name in enumerate(teachers):
            kept = run / f"teacher-{number}.onnx"
            files[kept] = kept if kept.exists() else find_model(_source(name, run))
            taught = restore(files[kept])
            _demand_alike(taught, network, name)
            self.networks.append(taught.to(memory_format=torch.channels_last))  # type: ignore[call-overload]
        # Only now: one that is refused must leave nothing in the folder to resume from.
        for kept, file in files.items():
            if file != kept:
                with atomic(kept) as temporary:
                    temporary.write_bytes(file.read_bytes())

    def to(self, device: torch.device) -> Teachers:
        """Moves the networks to the device."""
        self.networks = [each.to(device) for each in self.networks]
        return self

    @torch.no_grad()
    def probabilities(self, faces: Tensor) -> Tensor:
        """Mean softmax probabilities at temperature 1. Shape: normalised faces (B, K, S, S) → (B, C)."""
        half = self.precision == "bf16-mixed"
        with torch.autocast(faces.device.type, torch.bfloat16, enabled=half):
            logits = [each(faces, normalised=True).logits for each in self.networks]
        return torch.stack([each.float().softmax(dim=1) for each in logits]).mean(dim=0)


def _demand_alike(teacher: Network, network: Network, name: str) -> None:
    if not isinstance(teacher, Classifier) or teacher.labels != network.labels:
        raise RecipeError(f"task.teacher {name!r}: expected a classifier of {', '.join(network.labels)}")
    own, other = network.normalise.state_dict(), teacher.normalise.state_dict()
    same = type(network.normalise) is type(teacher.normalise) and all(
        own[key].shape == other[key].shape and torch.allclose(own[key], other[key], rtol=1e-2) for key in own
    )
    if not same or teacher.body_size != network.body_size:
        raise RecipeError(
            f"task.teacher {name!r} normalises or crops faces otherwise than the network that learns: train "
            "both on the same faces, or set task.sees to 'face'"
        )


def _read(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False).astype(np.float32)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read probabilities from {path}: {error}") from error


def _infer(teacher: str, faces: FaceBatch, labels: tuple[str, ...], run: Path) -> np.ndarray:
    from mien.inference.predictor import load

    predictor = load(_source(teacher, run))
    if tuple(predictor.labels) != labels:
        raise RecipeError(
            f"task.teacher {teacher!r} knows {', '.join(predictor.labels)}: expected {', '.join(labels)}"
        )
    return softmax(predictor.classify(faces.images).logits).astype(np.float32)


def _source(teacher: str, run: Path) -> str:
    """A teacher's network by name or file; of a recipe, its run beside this one."""
    if not teacher.startswith(RECIPE_PREFIX):
        return teacher
    recipe = teacher.removeprefix(RECIPE_PREFIX)
    source = run.parent / run_folder_name(recipe)
    if not (source / "model.onnx").is_file():
        raise RecipeError(
            f"task.teacher {teacher!r}: no finished run at {source}; "
            f"train it first: mien train {recipe} --out {source}"
        )
    return str(source)
