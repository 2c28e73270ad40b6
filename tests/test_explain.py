"""The methods of `mien explain` against naive loops in float64, and what holds for all of them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("captum")

import torch

from explain_network import LABELS, SIZE, images, logits, network, regions
from mien.errors import DataError, ModelError
from mien.explain import methods as module
from mien.explain.methods import METHODS, STRIDE, WINDOW, completeness_gap, find
from mien.explain.regions import REGIONS
from mien.models.network import Outputs

TARGETS = np.array([2, 0, 1])


def bilinear(small: np.ndarray, size: int) -> np.ndarray:
    """(h, w) enlarged to (size, size), pixels as squares, the edge repeated."""
    side = len(small)
    found = np.zeros((size, size))
    for y in range(size):
        for x in range(size):
            v, u = ((at + 0.5) * side / size - 0.5 for at in (y, x))
            v, u = min(max(v, 0), side - 1), min(max(u, 0), side - 1)
            top, left = int(v), int(u)
            low, right = min(top + 1, side - 1), min(left + 1, side - 1)
            up = small[top, left] * (1 - u + left) + small[top, right] * (u - left)
            down = small[low, left] * (1 - u + left) + small[low, right] * (u - left)
            found[y, x] = up * (1 - v + top) + down * (v - top)
    return found


def test_integrated_gradients_are_complete() -> None:
    net, faces = network(), images(3)
    maps = module.integrated_gradients(net, faces, TARGETS)
    grey = np.broadcast_to(faces.mean(axis=(1, 2), keepdims=True), faces.shape)
    rise = (logits(net, faces) - logits(net, grey))[np.arange(3), TARGETS]
    assert np.abs(rise).min() > 1e-3
    assert maps.sum(axis=(1, 2)) == pytest.approx(rise, rel=1e-6)
    assert completeness_gap(net, faces, TARGETS).max() < 1e-6
    assert completeness_gap(net, faces, TARGETS, steps=2).max() > 1e-6


def test_integrated_gradients_are_the_mean_gradient_times_the_change() -> None:
    net, face = network(), images(1)
    grey = face.mean()
    total = np.zeros((SIZE, SIZE))
    for step in range(200):
        share = (step + 0.5) / 200
        x = torch.as_tensor(grey + share * (face.astype(np.float64) - grey))[:, None].requires_grad_()
        (gradient,) = torch.autograd.grad(net(x).logits[0, 1], x)
        total += gradient[0, 0].numpy() / 200
    expected = total * (face[0] - grey)
    found = module.integrated_gradients(net, face, np.array([1]))[0]
    assert found == pytest.approx(expected, abs=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("body", [None, 14])
def test_grad_cam_is_the_weighted_sum_of_maps(body: int | None) -> None:
    net, faces = network(body), images(3)
    found = module.grad_cam(net, faces, TARGETS)
    seen = body or SIZE
    edge = (SIZE - seen) // 2
    maps = net(torch.as_tensor(faces.astype(np.float64))[:, None]).maps.numpy()
    weights = net.head.weight.numpy().reshape(len(LABELS), *maps.shape[1:])
    assert found.max() > 0
    for number, target in enumerate(TARGETS):
        small = np.zeros(maps.shape[2:])
        for channel in range(4):
            small += weights[target, channel].mean() * maps[number, channel]
        expected = np.zeros((SIZE, SIZE))
        expected[edge : edge + seen, edge : edge + seen] = bilinear(np.maximum(small, 0), seen)
        assert found[number] == pytest.approx(expected, abs=1e-12)


def test_grad_cam_needs_maps_that_lead_to_the_logits() -> None:
    class Apart(type(network())):  # type: ignore[misc]
        def body(self, faces: torch.Tensor) -> Outputs:
            outputs = super().body(faces)
            return outputs._replace(maps=outputs.maps * 1)

    net = network()
    net.__class__ = Apart
    with pytest.raises(ModelError, match="do not come from its maps"):
        module.grad_cam(net, images(1), np.array([0]))


def test_occlusion_is_the_mean_fall_over_squares() -> None:
    net, faces = network(), images(2)
    targets = TARGETS[:2]
    found = module.occlusion(net, faces, targets)
    for number, target in enumerate(targets):
        whole = logits(net, faces[number : number + 1])[0, target]
        total, times = np.zeros((2, SIZE, SIZE))
        for y in range(0, SIZE - WINDOW + STRIDE, STRIDE):
            for x in range(0, SIZE - WINDOW + STRIDE, STRIDE):
                covered = faces[number].astype(np.float64)
                covered[y : y + WINDOW, x : x + WINDOW] = faces[number].mean()
                fall = whole - logits(net, covered[None])[0, target]
                total[y : y + WINDOW, x : x + WINDOW] += fall
                times[y : y + WINDOW, x : x + WINDOW] += 1
        assert times.min() > 0
        assert found[number] == pytest.approx(total / times, rel=1e-6, abs=1e-9)


def test_occlusion_by_region_spreads_each_fall_over_its_region() -> None:
    net, faces = network(), images(3)
    parts = regions(3).maps.copy()
    parts[1] = parts[1][::-1]  # Every face has regions of its own.
    parts[2][parts[2] == REGIONS.index("brows")] = REGIONS.index("forehead")
    found = module.region_occlusion(net, faces, TARGETS, parts)
    for number, target in enumerate(TARGETS):
        whole = logits(net, faces[number : number + 1])[0, target]
        for region in np.unique(parts[number]):
            mask = parts[number] == region
            covered = faces[number].astype(np.float64)
            covered[mask] = faces[number].mean()
            fall = whole - logits(net, covered[None])[0, target]
            assert found[number][mask] == pytest.approx(np.full(mask.sum(), fall / mask.sum()), abs=1e-9)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_the_contract(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net, faces, method, parts = network(), images(3), find(name), regions(3).maps
    maps = method.explain(net, faces, TARGETS, parts)
    assert maps.shape == faces.shape
    assert maps.dtype == np.float64
    assert np.isfinite(maps).all()
    assert maps.any()
    assert method.signed or maps.min() >= 0
    assert (method.explain(net, faces, TARGETS, parts) == maps).all()
    others = method.explain(net, faces, (TARGETS + 1) % 3, parts)
    assert not np.allclose(others, maps)
    monkeypatch.setattr(module, "_FACES", 2)
    monkeypatch.setattr(module, "_PASSES", 5)
    assert np.allclose(method.explain(net, faces, TARGETS, parts), maps, atol=1e-9)
    assert not net.training
    assert all(weight.grad is None for weight in net.parameters())


@pytest.mark.parametrize("name", METHODS)
def test_every_method_refuses_targets_that_do_not_fit(name: str) -> None:
    with pytest.raises(DataError, match=r"\(2,\) targets for 3 images"):
        METHODS[name].explain(network(), images(3), np.array([0, 1]), regions(3).maps)


def test_classes_and_sizes_that_the_network_lacks_are_refused() -> None:
    with pytest.raises(DataError, match="outside 0…2"):
        module.grad_cam(network(), images(1), np.array([3]))
    with pytest.raises(DataError, match=r"expected \(N, 18, 18\)"):
        module.occlusion(network(), np.zeros((1, 20, 20), np.uint8), np.array([0]))
    with pytest.raises(DataError, match="regions of shape"):
        module.region_occlusion(network(), images(2), TARGETS[:2], regions(3).maps)
    with pytest.raises(DataError, match="did you mean 'grad_cam'"):
        find("gradcam")
