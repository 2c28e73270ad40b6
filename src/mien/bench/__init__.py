"""The truth about speed: rates of training and inference, as shares of the machine's own."""

from mien.bench.pairs import PairSpeed
from mien.bench.speed import Speed, matrix_rate, measure, multiply_adds
from mien.bench.subjects import Subject, subject

__all__ = ["PairSpeed", "Speed", "Subject", "matrix_rate", "measure", "multiply_adds", "subject"]
