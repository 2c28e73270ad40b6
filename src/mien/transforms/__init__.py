"""Image transforms on whole batches, on the device, with random numbers keyed by seed, epoch and image."""

from mien.transforms.augment import Augmentation, mirror
from mien.transforms.keyed import key, permutation, uniform

__all__ = ["Augmentation", "key", "mirror", "permutation", "uniform"]
