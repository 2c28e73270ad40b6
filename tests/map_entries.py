"""Ledger entries of runs that map faces, made up so that every order is known: points on a circle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mien.evaluation.maps.circular_order import EXPECTED
from mien.evaluation.maps.circumplex import analyse
from mien.evaluation.maps.quality import quality
from mien.evaluation.maps.responses import Embeddings, Responses
from mien.labels import SIX
from mien.report.map_page import FROZEN_STAGE

SPREAD = 0.1


def points(
    order: Sequence[str], spread: Mapping[str, float], faces: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Faces scattered around six places of the unit circle in this order: (N, 2); labels (N,) in `SIX`."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(SIX)), faces)
    angles = np.array([order.index(SIX[label]) for label in labels]) * np.pi / 3
    scatter = np.array([spread.get(SIX[label], SPREAD) for label in labels])[:, None]
    middles = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return middles + scatter * rng.standard_normal((len(labels), 2)), labels


def answers(order: Sequence[str], labels: np.ndarray) -> Responses:
    """People who confuse emotions the more the nearer these stand in an order."""
    places = np.array([order.index(name) for name in SIX]) * np.pi / 3
    likeness = np.exp(3 * np.cos(places[labels][:, None] - places[None]))
    return Responses(SIX, likeness / likeness.sum(axis=1, keepdims=True), labels, "votes", "people")


def map_entry(
    recipe: str,
    seed: int = 0,
    *,
    budget: str = "cpu",
    order: Sequence[str] = EXPECTED,
    people: Sequence[str] | None = EXPECTED,
    spread: Mapping[str, float] | None = None,
    faces: int = 12,
) -> dict[str, Any]:
    """An entry as a run leaves it.

    order: of the map. people: of their votes, None where there are none. spread: by emotion, of its faces.
    """
    made = points(order, spread or {}, faces, seed)
    placed, labels = made
    reference = points(order, spread or {}, faces, seed + 100)
    against = None if people is None else answers(people, labels)
    names = [SIX[label] for label in labels]
    found = analyse(Embeddings(SIX, placed, labels, "the network's map"), resamples=0, against=against)
    kept = {"split": "training", "labels": names}
    first = FROZEN_STAGE if recipe == "d/nimstim" else ""
    return {
        "recipe": recipe,
        "seed": seed,
        "budget": {"name": budget, "epochs": 9, "best_epoch": 7, "seconds": 90.0},
        "selected_on": {"split": "public", "figure": "validation_loss", "value": 0.1, "last": 0.2},
        "figures": {},
        "maps": {
            "public": {
                "n": len(labels),
                "quality": quality(placed, labels, SIX, reference=reference).to_dict(),
                "circumplex": found.to_dict(),
                "labels": names,
                "points": placed.tolist(),
            }
        },
        "snapshots": [
            {"stage": first, "epoch": 0, "points": (0.1 * reference[0]).tolist(), **kept},
            {"stage": "", "epoch": 4, "points": (0.5 * reference[0]).tolist(), **kept},
            {
                "stage": "selected",
                "epoch": 7,
                "split": "training",
                "labels": names[::-1],
                "points": reference[0][::-1].tolist(),
            },
        ],
        "history": [],
    }
