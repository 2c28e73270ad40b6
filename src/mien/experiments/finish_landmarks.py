"""What is measured of a representation of landmarks: the thesis's figures on every split."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from mien import ledger
from mien.evaluation.landmarks.dimensions import active_dimensions, divergence
from mien.evaluation.landmarks.evaluate import evaluate
from mien.experiments.finished import Finished, Outcome
from mien.experiments.landmark_runs import MODEL, load, save
from mien.experiments.landmarks import TRAINING, LandmarkSplits
from mien.landmarks import LandmarkBatch
from mien.models import LandmarkNetwork
from mien.models.landmark_network import COORDINATES
from mien.models.landmark_vae import LandmarkVAE
from mien.report.landmark_page import write_report
from mien.storage import write_json


def outcome(done: Finished, network: LandmarkNetwork) -> Outcome:
    """Represents every split by the network as its file holds it, and measures what `evaluate` does.

    The entry's `landmarks` hold those figures, the number of active dimensions and, of an autoencoder,
    `latent`: divergence and weights of each dimension.
    """
    splits: LandmarkSplits = done.faces
    generator = None
    if isinstance(network, LandmarkVAE):
        save(network, done.run / MODEL, done.recipe.name)
        generator = load(done.run / MODEL)
        network = generator.network
    done.note(f"measuring {sum(map(len, splits.faces.values())):,} faces of {len(splits.faces)} splits")
    points = {name: network.represent(part) for name, part in splits.faces.items()}
    found = evaluate(points, splits.faces, splits.triplets)
    training = splits.faces[TRAINING]
    if generator is not None:
        found |= _latent(generator.network, training)
    figures: dict[str, Any] = {"landmarks": {"synthetic": training.synthetic, **found}}
    write_json(done.run / "evaluation.json", figures["landmarks"])

    def report(entry: ledger.Entry) -> None:
        write_report(done.run / "report.html", entry, splits.faces, points, generator)

    return Outcome(figures, report, None if generator is None else done.run / MODEL)


def _latent(network: LandmarkVAE, training: LandmarkBatch) -> dict[str, Any]:
    """Active dimensions; by dimension the divergence over the training faces, in nats, and the norm of the
    first decoding layer's weights; and that norm for each coordinate of the neutral face.
    """
    kl = divergence(*network.posterior(training))
    first = network.decoder[0]
    assert isinstance(first, nn.Linear)
    norms = np.linalg.norm(first.weight.detach().double().numpy(), axis=0)
    assert len(norms) == network.latent + (COORDINATES if network.neutral else 0)
    return {
        "dimensions": active_dimensions(kl),
        "latent": {
            "divergence": np.round(kl, 4).tolist(),
            "norms": np.round(norms[: network.latent], 4).tolist(),
            "neutral_norms": np.round(norms[network.latent :], 4).tolist(),
        },
    }
