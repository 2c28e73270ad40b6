"""Saliency against finite differences in float64."""

from __future__ import annotations

import numpy as np
import pytest

from mien.errors import DataError
from mien.explain import saliency as module
from mien.explain.saliency import saliency

torch = pytest.importorskip("torch")


def _network(channels: int = 1) -> torch.nn.Module:
    torch.manual_seed(0)
    return (
        torch.nn.Sequential(
            torch.nn.Conv2d(channels, 4, 3, padding=1),
            torch.nn.Tanh(),
            torch.nn.AvgPool2d(2),
            torch.nn.Flatten(),
            torch.nn.Linear(4 * 3 * 3, 5),
        )
        .double()
        .eval()
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_maps_are_the_largest_absolute_difference_quotients(channels: int) -> None:
    network = _network(channels)
    images = np.random.default_rng(0).random((3, channels, 6, 6))
    targets = [4, 0, 2]
    maps = saliency(network, images, targets, dtype=torch.float64)
    step = 1e-5

    def score(picture: np.ndarray, target: int) -> float:
        with torch.no_grad():
            return network(torch.as_tensor(picture[None]))[0, target].item()

    for i, target in enumerate(targets):
        for y in range(6):
            for x in range(6):
                slopes = []
                for c in range(channels):
                    up, down = images[i].copy(), images[i].copy()
                    up[c, y, x] += step
                    down[c, y, x] -= step
                    slopes.append(abs(score(up, target) - score(down, target)) / (2 * step))
                assert maps[i, y, x] == pytest.approx(max(slopes), rel=1e-5, abs=1e-9)


def test_without_targets_the_most_probable_class_is_explained() -> None:
    network = _network().float()
    images = np.random.default_rng(1).integers(0, 256, (4, 6, 6), dtype=np.uint8)
    with torch.no_grad():
        best = network(torch.as_tensor(images[:, None]).float()).argmax(1).numpy()
    assert (saliency(network, images) == saliency(network, images, best)).all()


def test_batches_change_nothing_and_weights_gather_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    network = _network()
    images = np.random.default_rng(2).random((5, 6, 6))
    whole = saliency(network, images, [0] * 5, dtype=torch.float64)
    monkeypatch.setattr(module, "BATCH", 2)
    with torch.no_grad():
        parts = saliency(network, images, [0] * 5, dtype=torch.float64)
    assert np.allclose(parts, whole, rtol=1e-12)
    assert all(weight.grad is None for weight in network.parameters())


def test_targets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match=r"\(2,\) targets for 3 images"):
        saliency(_network(), np.zeros((3, 6, 6)), [0, 1])
    with pytest.raises(DataError, match="expected"):
        saliency(_network(), np.zeros((6, 6)))
