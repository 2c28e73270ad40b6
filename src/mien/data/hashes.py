"""A face's pixels as one number: equal for pixel copies, and of no use to bring the face back."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from mien.faces import UInt8


def pixel_hashes(images: UInt8) -> NDArray[np.uint64]:
    """BLAKE2b of each image's raw pixels, 8 bytes long, read as a little-endian number.

    Shape: images (N, H, W) uint8; returns (N,).
    """
    digests = b"".join(hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in images)
    return np.frombuffer(digests, "<u8").astype(np.uint64)
