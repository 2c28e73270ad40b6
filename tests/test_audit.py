"""Copies are found where there are some, and nowhere else; FER-2013's own are known in number."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pytest

from mien.data.audit import audit, copy_groups, near_copies, pixel_hashes
from mien.data.known import known_copies, known_hashes, known_names, write_hashes
from mien.errors import DataError
from mien.faces import FaceBatch, UInt8


def smooth(n: int, seed: int, side: int = 48) -> UInt8:
    """Pictures with structure at several scales, no two alike."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, (n, side, side)).astype(np.float32)
    parts = [np.stack([cv2.GaussianBlur(one, (0, 0), sigma) * sigma for one in noise]) for sigma in (1, 2, 5)]
    summed = sum(parts)
    low, high = summed.min(axis=(1, 2), keepdims=True), summed.max(axis=(1, 2), keepdims=True)
    return ((summed - low) / (high - low) * 200 + 20).astype(np.uint8)


def batch_of(images: UInt8, labels: list[int], splits: list[int]) -> FaceBatch:
    return FaceBatch(
        images=images,
        labels=np.array(labels),
        splits=np.array(splits, np.int8),
        rows=np.arange(len(images)),
        votes=np.zeros((len(images), 10), np.uint8),
    )


def test_hashes_are_those_of_the_raw_pixels() -> None:
    images = smooth(3, 0)
    expected = [
        int.from_bytes(hashlib.blake2b(image.tobytes(), digest_size=8).digest(), "little") for image in images
    ]
    assert pixel_hashes(images).tolist() == expected
    assert pixel_hashes(images[:0]).shape == (0,)
    # A view with other strides has the same pixels.
    assert pixel_hashes(np.asfortranarray(images)).tolist() == expected


def test_exact_copies_within_across_and_in_conflict() -> None:
    a, b, c, d = smooth(4, 1)
    images = np.stack([a, b, a, a, c, b, d])
    found = audit(batch_of(images, [0, 1, 0, 2, 3, 1, 4], [0, 0, 0, 1, 1, 2, 2]))
    assert found.exact_within == {"training": 1, "public": 0, "private": 0}
    assert found.exact_across == [
        ("public", "training", 1, 0),
        ("private", "training", 1, 1),
        ("private", "public", 0, 0),
    ]
    assert found.conflicts == [[0, 2, 3]]
    assert [group.tolist() for group in copy_groups(images)] == [[0, 2, 3], [1, 5]]
    assert found.near_within == {"training": 0, "public": 0, "private": 0}


def changed(image: UInt8, how: str) -> UInt8:
    if how == "brighter":
        return np.clip(image.astype(int) * 0.8 + 30, 0, 255).astype(np.uint8)
    if how == "jpeg":
        return cv2.imdecode(
            cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_GRAYSCALE
        )
    if how == "one pixel":
        other = image.copy()
        other[20, 20] ^= 8
        return other
    if how == "watermark":
        return cv2.putText(image.copy(), "mien", (2, 40), cv2.FONT_HERSHEY_PLAIN, 0.8, 200)
    return np.ascontiguousarray(image[:, ::-1])


@pytest.mark.parametrize("how", ["brighter", "jpeg", "one pixel", "watermark", "mirrored"])
def test_near_copies_are_found_and_only_those(how: str) -> None:
    images = smooth(30, 2)
    images = np.concatenate([images, changed(images[7], how)[None]])
    near = near_copies(images)
    assert list(zip(near.first, near.second, strict=True)) == [(7, 30)]
    assert near.mirrored.tolist() == [how == "mirrored"]
    assert 0.75 <= near.correlation[0] <= 1.0001
    found = audit(batch_of(images, [0] * 31, [0] * 30 + [1]))
    assert found.near_across == [("public", "training", 1)]
    assert found.near_within == {"training": 0, "public": 0}
    assert found.exact_across == [("public", "training", 0, 0)]


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images = smooth(20, 3)
    images = np.concatenate([images, *(changed(images[[i]][0], "jpeg")[None] for i in (0, 9, 19))])
    whole = near_copies(images)
    monkeypatch.setattr("mien.data.audit._CHUNK", 7)
    shares: list[float] = []
    parts = near_copies(images, shares.append)
    assert whole.first.tolist() == parts.first.tolist() == [0, 9, 19]
    assert whole.second.tolist() == parts.second.tolist() == [20, 21, 22]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_blank_faces_are_exact_copies_but_not_near_ones() -> None:
    images = np.stack([np.full((48, 48), value, np.uint8) for value in (0, 0, 128, 255)])
    assert len(near_copies(images)) == 0
    assert len(copy_groups(images)) == 1
    assert len(near_copies(images[:0])) == 0


def test_faces_of_other_sizes() -> None:
    images = smooth(6, 4, side=64)
    images = np.concatenate([images, changed(images[2], "brighter")[None]])
    assert near_copies(images).first.tolist() == [2]


def test_not_a_face_by_votes() -> None:
    batch = batch_of(smooth(3, 5), [0, 0, 0], [0, 0, 0])
    batch.votes[0, [0, 9]] = 4, 6
    batch.votes[1, [0, 9]] = 5, 5
    # The third has no votes where others have: FER+ names no such picture.
    assert audit(batch).not_a_face == 2


def test_unknown_training_set() -> None:
    with pytest.raises(DataError, match=r"no hashes of 'absent'.*fer2013-training"):
        known_copies(smooth(1, 0), "absent")
    assert not known_copies(smooth(5, 6)).any()


class TestRealFaces:
    def test_the_shipped_hashes_are_those_of_training(self, fer2013: FaceBatch, tmp_path) -> None:
        hashes = np.unique(pixel_hashes(fer2013.split("training").images))
        np.testing.assert_array_equal(known_hashes("fer2013-training"), hashes)
        assert write_hashes(fer2013.split("training").images, tmp_path / "again.npy") == 28709 - 1236
        np.testing.assert_array_equal(np.load(tmp_path / "again.npy"), hashes)
        assert "fer2013-training" in known_names()

    def test_280_public_faces_are_known_without_training(self, fer2013: FaceBatch) -> None:
        assert int(known_copies(fer2013.split("public").images).sum()) == 280

    @pytest.mark.slow
    def test_copies_of_fer2013(self, fer2013: FaceBatch) -> None:
        found = audit(fer2013)
        assert found.exact_within["training"] == 1236
        assert found.exact_across == [("public", "training", 280, 273)]
        assert all(len(set(fer2013.labels[rows].tolist())) > 1 for rows in found.conflicts)
        # The near copies have no published number; there are some across the splits, and pairs are few.
        assert found.near_across[0][2] > 100
        assert 1000 < found.near_within["training"] < 5000
