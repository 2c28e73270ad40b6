"""A teacher's probabilities on the training faces, computed once and stored with the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.errors import DataError, RecipeError
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
    Raises: RecipeError when the teacher is missing or knows other labels; DataError when the shape is wrong.
    """
    kept = run / "teacher.npy"
    if not kept.exists():
        probabilities = (
            _read(Path(teacher)) if teacher.endswith(".npy") else _infer(teacher, faces, labels, run)
        )
        with atomic(kept) as temporary:
            np.save(temporary, probabilities, allow_pickle=False)
            # numpy adds its own suffix to a name without it; ours has it.
    probabilities = _read(kept)
    if probabilities.shape != (len(faces), len(labels)):
        raise DataError(
            f"teacher {teacher} gives probabilities of shape {probabilities.shape}: expected "
            f"{(len(faces), len(labels))}, one row a training face"
        )
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
    logits = predictor.classify(faces.images).logits.astype(np.float64)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)
