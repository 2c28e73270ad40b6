"""Experiments on pictures of faces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from pydantic import ValidationError

from mien.errors import DataError, RecipeError
from mien.evaluation import protocols
from mien.experiments.domain import Domain, Note
from mien.experiments.splits import Splits, read_splits
from mien.faces import FaceBatch
from mien.models import Embedder, Network, architecture
from mien.training.recipe import Recipe, explain
from mien.training.start import start_from
from mien.training.tasks.registry import Materials
from mien.transforms import Augmentation, key


class Pictures(Domain[Splits, Network]):
    """Grey crops of one size."""

    def check(self, recipe: Recipe) -> Network:
        """Also that crops, augmentation, protocols and a frozen stage fit the network."""
        with torch.device("meta"):
            network = architecture(recipe.model.name).build(recipe.model.options, recipe.data.labels)
        if recipe.frozen is not None and not isinstance(network, Embedder):
            raise RecipeError(f"recipe {recipe.name}: frozen: {recipe.model.name} has no trunk to freeze")
        try:
            _augmentation(recipe).check(network.body_size, network.input_size)
        except ValueError as error:
            raise RecipeError(f"recipe {recipe.name}: {error}") from error
        for name in recipe.test.protocols:
            protocols.find(name).check(network.body_size, recipe.model.name)
        return network

    def read(self, recipe: Recipe, path: Path, skip_bad: bool, note: Note) -> Splits:
        """As `read_splits`."""
        return read_splits(recipe, path, skip_bad=skip_bad, note=note)

    def build(self, recipe: Recipe, faces: Splits, start: str | None, note: Note) -> Network:
        """As `build_network`."""
        return build_network(recipe, faces.train, start, note)

    def materials(self, recipe: Recipe, network: Network, faces: Splits, run: Path) -> Materials:
        """Both splits and their augmentation."""
        train = recipe.train
        return Materials(
            network, faces.train, faces.validation, _augmentation(recipe), train.seed, run, train.precision
        )

    def content(self, faces: Splits) -> Iterator[bytes]:
        """Pixels and labels."""
        for part in (faces.train, faces.validation):
            yield part.images.tobytes()
            yield part.labels.tobytes()


def build_network(
    recipe: Recipe, faces: FaceBatch, start: str | None = None, note: Note = lambda line: None
) -> Network:
    """The recipe's network with seeded weights and its normalisation fitted, or with weights taken over.

    Raises: DataError when the faces are of another size than the network sees; ModelError.
    """
    with torch.random.fork_rng():
        torch.manual_seed(key(recipe.train.seed, "weights"))
        network = architecture(recipe.model.name).build(recipe.model.options, recipe.data.labels)
    side, shape = network.input_size, faces.images.shape[1:]
    if shape != (side, side):
        raise DataError(
            f"{faces.source} holds faces of {shape[1]}×{shape[0]} pixels: {recipe.model.name} sees "
            f"{side}×{side}; crop and resize them first"
        )
    network.normalise.fit(faces.images)
    if start is not None:
        taken = start_from(network, start)
        fresh = f"; fresh: {', '.join(taken.fresh)}" if taken.fresh else ""
        note(f"{taken.taken} tensors taken from {start}{fresh}")
    return network


def _augmentation(recipe: Recipe) -> Augmentation:
    try:
        return Augmentation(**recipe.augment)
    except ValidationError as error:
        raise RecipeError(f"recipe {recipe.name}: {explain(error, Augmentation, 'augment')}") from error
