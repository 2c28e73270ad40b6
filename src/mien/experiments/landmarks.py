"""Experiments on landmarks: faces by split, and the triplets of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from mien.data import landmarks as data
from mien.data.landmarks.triplet_rules import by_rules
from mien.data.landmarks.triplets import check_splits
from mien.errors import DataError, RecipeError
from mien.experiments.domain import Domain, Note, limited
from mien.labels import EMOTIONS
from mien.landmarks import UNLABELLED, LandmarkBatch, Triplets
from mien.models import LANDMARKS, LandmarkNetwork
from mien.training.recipe import Recipe
from mien.training.tasks.registry import LandmarkMaterials
from mien.transforms import key

TRAINING, VALIDATION = "training", "public"
"""The splits that are trained and selected on; all others are measured."""

_FIXED = {"train": TRAINING, "validation": VALIDATION, "labels": EMOTIONS}
"""Settings of `data` that recipes of other networks may change."""


@dataclass(frozen=True)
class LandmarkSplits:
    """The faces of a run by split, and the triplets of each split that has any."""

    faces: Mapping[str, LandmarkBatch]
    triplets: Mapping[str, Triplets]

    def of(self, split: str) -> LandmarkBatch:
        """The faces of a split.

        Raises: DataError when there are none.
        """
        if split not in self.faces:
            raise DataError(f"no {split!r} faces: expected one of {', '.join(self.faces)}")
        return self.faces[split]


class Landmarks(Domain[LandmarkSplits, LandmarkNetwork]):
    """Prepared landmarks with splits by person."""

    def check(self, recipe: Recipe) -> LandmarkNetwork:
        """Also that nothing is asked for that is of pictures."""
        asked = {
            "augment": recipe.augment,
            "frozen": recipe.frozen,
            "start": recipe.start,
            "data.drop_copies": recipe.data.drop_copies,
            "data.drop_leaks": recipe.data.drop_leaks,
            "data.resize": recipe.data.resize,
            "data.test": recipe.data.test,
        }
        for name, value in asked.items():
            if value:
                raise RecipeError(
                    f"recipe {recipe.name}: {name} is for networks that see pictures; remove it"
                )
        for name, value in _FIXED.items():
            if getattr(recipe.data, name) != value:
                raise RecipeError(
                    f"recipe {recipe.name}: data.{name} is {getattr(recipe.data, name)!r}: networks on "
                    f"landmarks take {value!r} alone; remove it"
                )
        with torch.device("meta"):
            return LANDMARKS.find(recipe.model.name).build(recipe.model.options, recipe.data.labels)

    def read(self, recipe: Recipe, path: Path, skip_bad: bool, note: Note) -> LandmarkSplits:
        """Every split that the data hold; triplets that lie beside them, or by the rules of 5.2.1.

        Raises: DataError also where one of those beside them has faces of two splits.
        """
        found = data.read(path, skip_bad=skip_bad, split_seed=recipe.data.split_seed)
        for line in found.faces.left_out:
            note(line)
        if found.triplets is not None and recipe.data.triplets == "judged":
            check_splits(found.triplets, found.faces)
        faces = {name: limited(found.faces.split(name), recipe) for name in found.faces.splits_held}
        for name in (TRAINING, VALIDATION):
            if name not in faces:
                raise DataError(f"no {name!r} faces in {path}: it holds {', '.join(faces) or 'none'}")
        return LandmarkSplits(faces, _triplets(recipe, faces, found.triplets, path))

    def build(self, recipe: Recipe, faces: LandmarkSplits, start: str | None, note: Note) -> LandmarkNetwork:
        """The seed draws the weights; the mean, or the principal components, are of the training faces.

        Raises: RecipeError where it is to start from other weights: it cannot yet.
        """
        if start is not None:
            raise RecipeError(f"--from {start}: networks on landmarks begin with drawn weights; leave it out")
        with torch.random.fork_rng():
            torch.manual_seed(key(recipe.train.seed, "weights"))
            network = LANDMARKS.find(recipe.model.name).build(recipe.model.options, recipe.data.labels)
        network.fit(faces.faces[TRAINING])
        return network

    def materials(
        self, recipe: Recipe, network: LandmarkNetwork, faces: LandmarkSplits, run: Path
    ) -> LandmarkMaterials:
        """Training and validation faces with their triplets."""
        return LandmarkMaterials(
            network,
            faces.faces[TRAINING],
            faces.faces[VALIDATION],
            faces.triplets.get(TRAINING),
            faces.triplets.get(VALIDATION),
            recipe.train.seed,
        )

    def content(self, faces: LandmarkSplits) -> Iterator[bytes]:
        """Points, neutral faces and triplets."""
        for name in (TRAINING, VALIDATION):
            part = faces.faces[name]
            yield part.points.tobytes()
            yield b"" if part.neutral is None else part.neutral.tobytes()
            if name in faces.triplets:
                yield faces.triplets[name].rows(part).tobytes()
                yield faces.triplets[name].votes.tobytes()


def _triplets(
    recipe: Recipe, faces: Mapping[str, LandmarkBatch], judged: Triplets | None, path: Path
) -> dict[str, Triplets]:
    """By split: the judged triplets of its own faces alone, or those of the rules where it has labels."""
    if recipe.data.triplets == "judged":
        if judged is None:
            raise DataError(
                f"no triplets beside the faces of {path}: expected triplets.csv in that folder, which mien "
                "triplets makes"
            )
        found = {name: judged.within(part) for name, part in faces.items()}
    else:
        found = {
            name: by_rules(part, seed=recipe.data.split_seed)
            for name, part in faces.items()
            if (part.labels != UNLABELLED).all()
        }
    return {name: triplets for name, triplets in found.items() if len(triplets)}
