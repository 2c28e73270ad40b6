"""System E's loss: each term against a slow float64 loop, gradients, and the divergence by Monte Carlo."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mien.errors import DataError, ModelError
from mien.landmark_layout import ACTION_UNITS, COUNT
from mien.landmarks import LandmarkBatch, Triplets
from mien.losses import divergence, log_likelihood, triplet_penalty
from mien.models import LANDMARKS
from mien.models.landmark_vae import Encoded, KeptELU, LandmarkVAE
from mien.training.optimisers import Progress
from mien.training.tasks.landmark_vae import LandmarkVAETask, LandmarkVAETaskOptions
from mien.training.tasks.registry import LandmarkMaterials


def rows(*shape: int, seed: int = 0, grad: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_(grad)


def test_log_likelihood_against_a_loop() -> None:
    faces, decoded, variance = rows(4, 6), rows(3, 4, 6, seed=1), 0.03
    for n in range(4):
        total = 0.0
        for sample in range(3):
            for coordinate in range(6):
                x, mean = float(faces[n, coordinate]), float(decoded[sample, n, coordinate])
                total += -0.5 * math.log(2 * math.pi * variance) - (x - mean) ** 2 / (2 * variance)
        assert log_likelihood(faces, decoded, variance=variance)[n] == pytest.approx(total / 3, rel=1e-12)


def test_divergence_against_a_loop() -> None:
    mean, log_variance = rows(5, 3), rows(5, 3, seed=1)
    for n in range(5):
        for k in range(3):
            mu, sigma = float(mean[n, k]), math.exp(float(log_variance[n, k]) / 2)
            expected = -0.5 * (1 + math.log(sigma**2) - mu**2 - sigma**2)
            assert divergence(mean, log_variance)[n, k] == pytest.approx(expected, abs=1e-12)


def test_divergence_by_monte_carlo() -> None:
    """KL is the mean of log q(z) − log p(z) over z from q."""
    mean, log_variance = torch.tensor([[0.8, -1.5, 0.0]]), torch.tensor([[-1.0, 0.7, 0.0]])
    posterior = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
    torch.manual_seed(0)
    z = posterior.sample((400_000,))
    prior = torch.distributions.Normal(0.0, 1.0)
    drawn = posterior.log_prob(z) - prior.log_prob(z)
    error = drawn.std(dim=0) / math.sqrt(len(z))
    assert (drawn.mean(dim=0) - divergence(mean, log_variance)).abs().le(5 * error + 1e-6).all()
    assert divergence(mean, log_variance)[0, 2] == 0


def test_triplet_penalty_against_a_loop() -> None:
    places, weights = [rows(4, 2, 3, seed=seed) for seed in range(3)], torch.tensor([5.0, 1.0]).double()
    found = triplet_penalty(*places, weights)
    for v in range(2):
        total = 0.0
        for sample in range(4):
            reference, nearer, farther = (place[sample, v].tolist() for place in places)
            difference = math.dist(reference, nearer) - math.dist(reference, farther)
            total += math.log(1 + math.exp(difference))
        assert found[v] == pytest.approx(float(weights[v]) * total / 4, rel=1e-12)


def test_gradients() -> None:
    faces, decoded = rows(2, 4, grad=True), rows(3, 2, 4, seed=1, grad=True)
    assert torch.autograd.gradcheck(lambda x, f: log_likelihood(x, f, variance=0.5), (faces, decoded))
    assert torch.autograd.gradcheck(divergence, (rows(3, 2, grad=True), rows(3, 2, seed=1, grad=True)))
    places = tuple(rows(2, 3, 4, seed=seed, grad=True) for seed in range(3))
    weights = torch.tensor([1.0, 3.0, 5.0]).double()
    assert torch.autograd.gradcheck(lambda a, b, c: triplet_penalty(a, b, c, weights), places)


def faces_of(n: int, *, seed: int = 0, neutral: bool = True) -> LandmarkBatch:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, COUNT, 3)).astype(np.float32) * 0.1
    return LandmarkBatch(
        points=points,
        names=np.array([f"{seed}-{i}" for i in range(n)]),
        subjects=np.array([f"P{i % 3}" for i in range(n)]),
        labels=(np.arange(n) % 7).astype(np.int64),
        degrees=np.zeros(n, np.int8),
        units=np.zeros((n, len(ACTION_UNITS)), np.int8),
        splits=np.zeros(n, np.int8),
        sequences=np.full(n, ""),
        angles=np.zeros((n, 3), np.float32),
        neutral=rng.normal(size=(n, COUNT, 3)).astype(np.float32) * 0.1 if neutral else None,
    )


def judged(faces: LandmarkBatch, t: int, *, seed: int = 0) -> Triplets:
    rng = np.random.default_rng(seed)
    chosen = np.stack([rng.permutation(len(faces))[:3] for _ in range(t)])
    votes = np.array([[5, 0], [4, 1], [3, 2]], np.int16)[np.arange(t) % 3]
    return Triplets(faces.names[chosen], votes)


def network(**options: object) -> LandmarkVAE:
    torch.manual_seed(0)
    chosen = {"encoder": (7,), "latent": 4, "decoder": (9, 6), "keep": 1.0, **options}
    built = LANDMARKS.find("landmark_vae").build(chosen)
    assert isinstance(built, LandmarkVAE)
    return built


def task(own: LandmarkVAE, n: int = 12, **options: object) -> LandmarkVAETask:
    train, validation = faces_of(n), faces_of(8, seed=1)
    own.fit(train)
    materials = LandmarkMaterials(
        own, train, validation, judged(train, 9), judged(validation, 6, seed=1), seed=3
    )
    return LandmarkVAETask(LandmarkVAETaskOptions(**options), materials)  # type: ignore[arg-type]


@pytest.mark.parametrize("anneal_all", [False, True])
def test_loss_of_a_minibatch_against_a_loop(anneal_all: bool) -> None:
    """SYSTEMS: N/B Σ [Σ_l ‖x − f‖²/(2σ²L) + β·KL] + τ·T/(V·M) Σ Σ w·ln(1 + exp(d₊ − d₋))/γ, over N."""
    own = network(neutral=True).double()
    made = task(
        own, reconstruction_variance=0.02, topological_variance=0.3, anneal=0.5, anneal_all=anneal_all,
        samples=2, triplet_batch=4, triplet_samples=3,
    )  # fmt: skip
    for part in (made.training, made.validation):
        part.x, part.y = part.x.double(), None if part.y is None else part.y.double()
    made.begin(Progress(0, 30, 1, 100))
    assert made.beta == pytest.approx(0.6)
    batch = torch.tensor([5, 0, 7])
    kept: list[tuple[Encoded, Tensor, Tensor | None]] = []

    class Spied(torch.nn.Module):
        def forward(self, x: Tensor, y: Tensor | None, samples: int, decoded: int) -> Encoded:
            found: Encoded = own(x, y, samples, decoded)
            kept.append((found, x, y))
            return found

    drawn: list[Tensor] = []
    original, original_int = torch.randn, torch.randint

    def randn(*shape: int, **options: object) -> Tensor:
        drawn.append(original(*shape, dtype=torch.float64))
        return drawn[-1]

    chosen: list[Tensor] = []

    def randint(*arguments: object, **options: object) -> Tensor:
        chosen.append(original_int(*arguments, **options))  # type: ignore[call-overload]
        return chosen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn", randn)
        patch.setattr(torch, "randint", randint)
        torch.manual_seed(1)
        loss, _ = made.loss(Spied(), batch, 0)
    (found, x, _), (_, noise) = kept[0], drawn
    n, t = 12, 9
    total = 0.0
    for b in range(3):
        for sample in range(2):
            total += float((x[b] - found.faces[sample, b].detach()).square().sum()) / (2 * 0.02 * 2)
        for k in range(4):
            mu, log_variance = found.mean[b, k].item(), found.log_variance[b, k].item()
            total += 0.6 * -0.5 * (1 + log_variance - mu**2 - math.exp(log_variance))
    total *= n / 3
    assert made.triplets is not None
    z = found.mean[3:] + torch.exp(0.5 * found.log_variance[3:]) * noise
    for v, number in enumerate(chosen[0].tolist()):
        weight = [5, 3, 1][number % 3]
        for sample in range(3):
            ref, nearer, farther = (z[sample, v + 4 * place].tolist() for place in range(3))
            difference = math.dist(ref, nearer) - math.dist(ref, farther)
            tau = 0.6 if anneal_all else 1.0
            total += tau * t / (4 * 3) * weight * math.log(1 + math.exp(difference)) / 0.3
    constant = COUNT * 3 / 2 * math.log(2 * math.pi * 0.02)
    assert float(loss) == pytest.approx(total / n + constant, rel=1e-9)


def test_triplets_faces_are_those_they_name() -> None:
    own = network()
    made = task(own, topological_variance=0.1, triplet_batch=2)
    given: list[Tensor] = []

    class Spied(torch.nn.Module):
        def forward(self, x: Tensor, y: Tensor | None, samples: int, decoded: int) -> Encoded:
            given.append(x)
            found: Encoded = own(x, y, samples, decoded)
            return found

    torch.manual_seed(4)
    made.loss(Spied(), torch.tensor([1]), 0)
    torch.manual_seed(4)
    drawn = torch.randint(9, (2,))
    train = faces_of(12)
    named = judged(train, 9).rows(train)[drawn.numpy()]
    expected = made.training.x[torch.from_numpy(named.T.reshape(-1).copy())]
    assert torch.equal(given[0][1:], expected)


@pytest.mark.parametrize(
    ("anneal", "step", "beta"), [(0, 0, 1), (0.5, 0, 0), (0.5, 25, 0.5), (0.5, 70, 1), (1.0, 70, 0.7)]
)
def test_annealing(anneal: float, step: int, beta: float) -> None:
    made = task(network(), anneal=anneal)
    made.begin(Progress(0, step, 1, 100))
    assert made.beta == pytest.approx(beta)


def test_validation_is_the_bound_at_full_beta_and_the_same_every_time() -> None:
    own = network(neutral=True)
    made = task(own, anneal=1.0, reconstruction_variance=0.05, samples=400)
    first = made.validate(own)
    assert first == made.validate(own)
    made.begin(Progress(0, 90, 1, 100))
    assert first == made.validate(own)
    x, y = made.validation.at(torch.arange(8))
    with torch.no_grad():
        torch.manual_seed(9)
        found = own(x, y, 4000)
        likely = log_likelihood(x, found.faces, variance=0.05)
        bound = (likely - divergence(found.mean, found.log_variance).sum(dim=1)).mean()
    assert first["elbo"] == pytest.approx(float(bound), abs=0.5)


def test_validation_bound_of_model_3_has_the_triplets_prior() -> None:
    own = network()
    without = task(own, samples=3).validate(own)
    with_prior = task(own, samples=3, topological_variance=0.5).validate(own)
    assert set(with_prior) - set(without) == {"satisfied"}
    # Six triplets, none of which costs less than nothing; their weights are 5, 3 and 1.
    assert 0 < without["elbo"] - with_prior["elbo"] < 6 * 3 * 10 / 0.5 / 8


def test_no_triplets_says_so() -> None:
    train = faces_of(6)
    own = network()
    own.fit(train)
    materials = LandmarkMaterials(own, train, train, None, None, 0)
    with pytest.raises(DataError, match=r"no training triplets.*triplets\.csv"):
        LandmarkVAETask(LandmarkVAETaskOptions(topological_variance=0.1), materials)


def test_neutral_faces_are_needed_by_model_2() -> None:
    with pytest.raises(ModelError, match="neutral"):
        network(neutral=True).inputs(faces_of(3, neutral=False))


@pytest.mark.parametrize("keep", [0.9, 0.5, 1.0])
def test_dropout_keeps_its_share_and_the_mean(keep: float) -> None:
    layer = KeptELU(keep)
    torch.manual_seed(0)
    kept = layer(torch.ones(1000, 401))
    share = float((kept != 0).double().mean())
    assert share == pytest.approx(keep, abs=5 * math.sqrt(keep * (1 - keep) / kept.numel()) + 1e-5)
    assert torch.unique(kept).tolist() == pytest.approx([0.0, 1 / keep] if keep < 1 else [1.0])
    # No pattern within the words that one random number is cut into.
    columns = (kept != 0).double().reshape(-1)[: 4 * 100_000].reshape(-1, 4).mean(dim=0)
    assert columns.tolist() == pytest.approx([keep] * 4, abs=0.01)


def test_to_keep_nearly_all_is_to_keep_all() -> None:
    """A share that two bytes do not tell from 1 drops nothing."""
    units = rows(30, 11)
    assert torch.equal(KeptELU(1 - 1e-6)(units.clone()), torch.nn.functional.elu(units))


def test_elu_with_dropout_is_elu_times_its_mask() -> None:
    layer = KeptELU(0.7)
    units = rows(30, 11)
    torch.manual_seed(2)
    found = layer(units.clone())
    kept = found != 0
    assert 0.5 < float(kept.double().mean()) < 0.9
    assert torch.allclose(found, torch.nn.functional.elu(units) * kept / 0.7, atol=1e-12)
    layer.eval()
    assert torch.equal(layer(units), torch.nn.functional.elu(units))


def test_gradient_of_elu_with_dropout() -> None:
    layer, weight = KeptELU(0.6), rows(5, 4, seed=1)

    def seeded(units: Tensor) -> Tensor:
        torch.manual_seed(7)
        # It overwrites its input, which is another layer's output and no leaf.
        result: Tensor = layer(units @ weight)
        return result

    assert torch.autograd.gradcheck(seeded, (rows(6, 5, grad=True),))


def test_decoder_is_its_layers_over_z_and_y_together() -> None:
    own = network(neutral=True).double()
    z, y = rows(3, 5, 4), rows(5, COUNT * 3, seed=1)
    given = torch.cat([z, y.expand(3, *y.shape)], dim=2).flatten(0, 1)
    expected = own.decoder(given).unflatten(0, (3, 5)).float()
    assert torch.allclose(own.decode(z, y), expected, atol=1e-6)


def test_parameter_counts_of_the_thesis_layers() -> None:
    """Best Model 2: [498, 240, 120, 60, 30] with mean and variance, and [279, 300, 400, 300, 249]."""
    counted = LANDMARKS.find("landmark_vae").parameters(
        {"encoder": (240, 120, 60), "latent": 30, "decoder": (300, 400, 300), "neutral": True}
    )
    encoder = 498 * 240 + 240 + 240 * 120 + 120 + 120 * 60 + 60 + 60 * 60 + 60
    decoder = 279 * 300 + 300 + 300 * 400 + 400 + 400 * 300 + 300 + 300 * 249 + 249
    assert counted == encoder + decoder


def test_symmetrical_decoder_is_the_encoder_reversed() -> None:
    own = network(encoder=(12, 8, 5), decoder=())
    widths = [layer.out_features for layer in own.decoder if isinstance(layer, torch.nn.Linear)]
    assert widths == [5, 8, 12, COUNT * 3]


def test_every_registered_network_represents_faces(tmp_path: Path) -> None:
    for name, known in LANDMARKS.all().items():
        built = known.build()
        train = faces_of(60)
        built.fit(train)
        built.eval()
        found = built.represent(train)
        assert (len(found), found.dtype) == (60, np.float64), name
        assert np.isfinite(found).all(), name
        assert np.allclose(built.represent(train.select(np.arange(5))), found[:5], atol=1e-5)
