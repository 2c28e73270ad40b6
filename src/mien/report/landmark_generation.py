"""Faces out of a latent space: reconstructed, generated, in between two, and moved to another person.

Thesis (system E), 6.5.4 and 6.6: generated faces over two dimensions from a neutral face, all others 0. What
lies between two expressions, and one person's expression on another's neutral face, go beyond it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError, ModelError
from mien.landmark_layout import COUNT

Floats = NDArray[np.float64]

VALUES: tuple[float, ...] = (-5.0, -2.5, 0.0, 2.5, 5.0)
"""Where on a dimension faces are generated (Figures 6.6 and 6.10)."""


class Generator(Protocol):
    """A trained autoencoder over prepared landmarks.

    name: what to call it. latent: dimensions K. neutral: whether it takes a person's neutral face y beside x.
    """

    @property
    def name(self) -> str: ...

    @property
    def latent(self) -> int: ...

    @property
    def neutral(self) -> bool: ...

    def encode(self, x: Floats, y: Floats | None) -> tuple[Floats, Floats]:
        """Faces and neutral faces (N, 249) → mean and log variance (N, K)."""
        ...

    def decode(self, z: Floats, y: Floats | None) -> Floats:
        """Latent vectors (N, K) and neutral faces (N, 249) → faces (N, 249)."""
        ...


def encoded(generator: Generator, points: ArrayLike, neutral: ArrayLike | None) -> Floats:
    """The latent means (N, K) of faces (N, 83, 3) of which `neutral`, one or as many, are the neutral ones.

    Raises: ModelError when the network takes neutral faces and none is given.
    """
    faces = np.asarray(points, np.float64).reshape(-1, 3 * COUNT)
    return generator.encode(faces, _beside(generator, neutral, len(faces)))[0]


def decoded(generator: Generator, z: ArrayLike, neutral: ArrayLike | None) -> Floats:
    """The faces (N, 83, 3) of latent vectors (N, K); neutral: one face (83, 3), or (N, 83, 3).

    Raises: ModelError when the network takes neutral faces and none is given.
    """
    places = np.asarray(z, np.float64).reshape(-1, generator.latent)
    faces = generator.decode(places, _beside(generator, neutral, len(places)))
    return faces.reshape(-1, COUNT, 3)


def _beside(generator: Generator, neutral: ArrayLike | None, n: int) -> Floats | None:
    if not generator.neutral:
        return None
    if neutral is None:
        raise ModelError(f"{generator.name} needs each person's neutral face: none was given")
    known = np.asarray(neutral, np.float64).reshape(-1, 3 * COUNT)
    return np.broadcast_to(known, (n, 3 * COUNT)).copy()


def reconstructed(generator: Generator, points: ArrayLike, neutral: ArrayLike | None) -> Floats:
    """Faces (N, 83, 3) through the network and back, their latent vectors at the mean."""
    return decoded(generator, encoded(generator, points, neutral), neutral)


def grid(
    generator: Generator,
    neutral: ArrayLike | None,
    across: int,
    up: int,
    values: tuple[float, ...] = VALUES,
) -> Floats:
    """Faces over two latent dimensions, numbered from 0, all others 0: (R, C, 83, 3).

    Columns follow the values of `across` from left to right, rows those of `up` from below.
    Raises: DataError when the dimensions are not two of the network's.
    """
    _check_dimensions(generator, (across, up))
    if across == up:
        raise DataError(f"dimension {across + 1} twice: expected two different ones")
    z = np.zeros((len(values), len(values), generator.latent))
    z[:, :, across] = np.array(values)
    z[:, :, up] = np.array(values)[::-1, None]
    return decoded(generator, z, neutral).reshape(len(values), len(values), COUNT, 3)


def traversed(
    generator: Generator,
    neutral: ArrayLike | None,
    dimensions: tuple[int, ...],
    values: tuple[float, ...] = VALUES,
) -> Floats:
    """Faces along some dimensions, one after another, all others 0: (D, len(values), 83, 3).

    Raises: DataError when a dimension is none of the network's.
    """
    _check_dimensions(generator, dimensions)
    z = np.zeros((len(dimensions), len(values), generator.latent))
    for row, dimension in enumerate(dimensions):
        z[row, :, dimension] = values
    return decoded(generator, z, neutral).reshape(len(dimensions), len(values), COUNT, 3)


def between(
    generator: Generator, first: ArrayLike, second: ArrayLike, neutral: ArrayLike | None, steps: int
) -> Floats:
    """From one face of a person to another, straight through the latent space: (steps, 83, 3) with both."""
    start = encoded(generator, first, neutral)
    end = encoded(generator, second, neutral)
    shares = np.linspace(0, 1, steps)[:, None]
    return decoded(generator, (1 - shares) * start + shares * end, neutral)


def transferred(
    generator: Generator, face: ArrayLike, neutral: ArrayLike, other: ArrayLike, steps: int = 2
) -> tuple[Floats, Floats]:
    """A person's expression, coming on, and the same latent vectors with another person's neutral face.

    face, neutral: (83, 3) of the first person. other: the second one's neutral face (83, 3). Both start at
    the first person's neutral expression: (steps, 83, 3) each.
    Raises: ModelError when the network takes no neutral face: it cannot tell person from expression.
    """
    if not generator.neutral:
        raise ModelError(f"{generator.name} takes no neutral face: transfer needs one of Models 2 and 3")
    rest, posed = encoded(generator, neutral, neutral), encoded(generator, face, neutral)
    shares = np.linspace(0, 1, steps)[:, None]
    z = (1 - shares) * rest + shares * posed
    return decoded(generator, z, neutral), decoded(generator, z, other)


def _check_dimensions(generator: Generator, dimensions: tuple[int, ...]) -> None:
    for dimension in dimensions:
        if not 0 <= dimension < generator.latent:
            raise DataError(f"latent dimension {dimension + 1}: expected 1…{generator.latent}")
