"""Mixed faces show what they say, drawn by image; answers are mixed as the faces are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from mien.errors import RecipeError
from mien.labels import FERPLUS_CHOICES
from mien.models import architecture
from mien.training.tasks.registry import Materials, task_kind
from mien.transforms import Augmentation, Mixing
from synthetic import face_batch

ROWS = torch.arange(200)


def constant(rows: torch.Tensor) -> torch.Tensor:
    """Faces of one grey value each, their own number."""
    return rows.float()[:, None, None, None].expand(-1, 1, 16, 16)


def mixed(mixing: Mixing, rows: torch.Tensor = ROWS) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return mixing(constant(rows), constant, of=len(ROWS), seed=3, epoch=1, rows=rows)


def test_mixup_is_the_weighted_sum() -> None:
    faces, others, share = mixed(Mixing(mixup=1))
    expected = share * ROWS + (1 - share) * others
    torch.testing.assert_close(faces[:, 0, 5, 7], expected)
    assert 0.4 < float(share.mean()) < 0.6


def test_cutmix_share_is_what_is_left_of_the_face() -> None:
    faces, others, share = mixed(Mixing(cutmix=1))
    for face, row, other, kept in zip(faces, ROWS, others, share, strict=True):
        own, foreign = (face == row).float().mean(), (face == other).float().mean()
        if row != other:
            assert float(own) == pytest.approx(float(kept), abs=1e-6)
            assert float(own + foreign) == 1
    assert float(share.min()) < 0.4


def test_as_often_as_asked_and_the_rest_untouched() -> None:
    faces, _, share = mixed(Mixing(mixup=0.3, cutmix=0.2))
    untouched = share == 1
    assert 0.35 < float(untouched.float().mean()) < 0.65
    assert torch.equal(faces[untouched], constant(ROWS[untouched]))


def test_a_face_is_mixed_alike_in_any_batch() -> None:
    whole = mixed(Mixing(mixup=0.5, cutmix=0.5))
    parts = [mixed(Mixing(mixup=0.5, cutmix=0.5), rows) for rows in ROWS.split(37)]
    for part, all_of_it in zip(zip(*parts, strict=True), whole, strict=True):
        assert torch.equal(torch.cat(part), all_of_it)


def test_more_than_always_is_refused() -> None:
    with pytest.raises(ValidationError, match="at most 1"):
        Mixing(mixup=0.7, cutmix=0.7)


def task(tmp_path: Path, voted: bool = True, **options: object):  # type: ignore[no-untyped-def]
    faces = face_batch(40, seed=1)
    given = np.zeros((40, len(FERPLUS_CHOICES)), np.uint8)
    if voted:
        given[:20, FERPLUS_CHOICES.index("happiness")] = 6
        given[:20, FERPLUS_CHOICES.index("neutral")] = 4
    faces = type(faces)(
        images=faces.images, labels=faces.labels, splits=faces.splits, votes=given, rows=faces.rows,
        source=faces.source,
    )  # fmt: skip
    network = architecture("conv_net").build({"filters": [4, 4, 4, 4], "hidden": 4})
    kind = task_kind("classification")
    return kind.build(kind.validated(options), Materials(network, faces, faces, Augmentation(), 0, tmp_path))


def test_answers_by_hand(tmp_path: Path) -> None:
    made = task(tmp_path, votes=0.5, smoothing=0.1)
    names = made.network.labels
    for row in (3, 30):
        expected = np.zeros(7)
        expected[int(made.labels[row])] = 1
        if row < 20:
            people = np.zeros(7)
            people[names.index("happy")], people[names.index("neutral")] = 0.6, 0.4
            expected = 0.5 * expected + 0.5 * people
        np.testing.assert_allclose(made.answers[row], expected * 0.9 + 0.1 / 7, atol=1e-6)


def test_the_loss_of_mixed_faces_by_hand(tmp_path: Path) -> None:
    made = task(tmp_path, mix={"mixup": 1.0})
    rows = torch.arange(8)
    seen: list[torch.Tensor] = []

    def network(faces: torch.Tensor, normalised: bool) -> object:
        seen.append(faces)
        return made.network(faces, normalised=normalised)

    made.network.eval()
    loss, _ = made.loss(network, rows, 0)
    _, others, share = made.options.mix(
        made.prepare(rows, 0), lambda each: made.prepare(each, 0), of=40, seed=0, epoch=0, rows=rows
    )
    logs = made.network(seen[0], normalised=True).logits.detach().double().log_softmax(1)
    expected = -np.mean(
        [
            float(kept * logs[i, made.labels[row]] + (1 - kept) * logs[i, made.labels[other]])
            for i, (row, other, kept) in enumerate(zip(rows, others, share.double(), strict=True))
        ]
    )
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_votes_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"holds no FER\+ votes"):
        task(tmp_path, voted=False, votes=0.5)


def test_soft_answers_need_a_loss_that_takes_them() -> None:
    with pytest.raises(RecipeError, match="cross_entropy"):
        task_kind("classification").validated({"loss": "l2_svm", "smoothing": 0.1})
