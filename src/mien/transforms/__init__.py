"""Image transforms on whole batches, on the device, with random numbers keyed by seed, epoch and image."""

from mien.transforms.affine import centre, warp
from mien.transforms.augment import Augmentation, mirror
from mien.transforms.keyed import even, key, permutation, stratified, uniform
from mien.transforms.mixing import Mixing

__all__ = [
    "Augmentation",
    "Mixing",
    "centre",
    "even",
    "key",
    "mirror",
    "permutation",
    "stratified",
    "uniform",
    "warp",
]
