"""A teacher's probabilities on the training faces, computed once and stored with the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.errors import DataError, RecipeError
from mien.evaluation.calibration import softmax
from mien.faces import FaceBatch
from mien.storage import atomic

RECIPE_PREFIX = "recipe:"


def run_folder_name(recipe: str) -> str:
    """The folder that a recipe's run has beside those of other recipes: `c/final` → `c-final`."""
    return recipe.replace("/", "-")


def stored_probabilities(teacher: str, faces: FaceBatch, labels: tuple[str, ...], run: Path) -> np.ndarray:
    """Softmax probabilities (N, C) float32 of a teacher on the faces, in their order, at temperature 1.

    teacher: as in `DistillationOptions`. They are kept as `teacher.npy` in the run folder, so that a resumed
    run learns from the very same numbers.
    Raises: RecipeError when the teacher is missing or knows other labels; DataError when they
    are no probabilities of that shape.
    """
    kept = run / "teacher.npy"
    again = kept.exists()
    if again or teacher.endswith(".npy"):
        probabilities = _read(kept if again else Path(teacher))
    else:
        probabilities = _infer(teacher, faces, labels, run)
    if probabilities.shape != (len(faces), len(labels)):
        raise DataError(
            f"teacher {teacher} gives probabilities of shape {probabilities.shape}: expected "
            f"{(len(faces), len(labels))}, one row a training face"
        )
    if not np.isfinite(probabilities).all() or np.abs(probabilities.sum(axis=1) - 1).max() > 1e-3:
        raise DataError(f"teacher {teacher} gives rows that are no probabilities: expected each to sum to 1")
    if not again:
        with atomic(kept) as temporary:
            # numpy adds its own suffix to a name without it; ours has it.
            np.save(temporary, probabilities, allow_pickle=False)
    return probabilities


def _read(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False).astype(np.float32)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read probabilities from {path}: {error}") from error


def _infer(teacher: str, faces: FaceBatch, labels: tuple[str, ...], run: Path) -> np.ndarray:
    from mien.inference.predictor import load

    source = teacher
    if teacher.startswith(RECIPE_PREFIX):
        recipe = teacher.removeprefix(RECIPE_PREFIX)
        source = str(run.parent / run_folder_name(recipe))
        if not (Path(source) / "model.onnx").is_file():
            raise RecipeError(
                f"task.teacher {teacher!r}: no finished run at {source}; "
                f"train it first: mien train {recipe} --out {source}"
            )
    predictor = load(source)
    if tuple(predictor.labels) != labels:
        raise RecipeError(
            f"task.teacher {teacher!r} knows {', '.join(predictor.labels)}: expected {', '.join(labels)}"
        )
    return softmax(predictor.classify(faces.images).logits).astype(np.float32)
