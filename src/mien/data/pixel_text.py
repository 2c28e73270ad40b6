"""Pixels written as decimal numbers between spaces, read by whole blocks: 80 million of them in seconds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.faces import UInt8

# A field may still carry the quotes around it, and tabs or several blanks between its numbers.
_SEPARATORS = b' \t"'


def parse_block(text: UInt8, offsets: NDArray[np.int64], pixels: int) -> tuple[UInt8, NDArray[np.bool_]]:
    """Parses many rows of numbers at once.

    text: (B,) uint8, the characters of all rows, one directly after the other.
    offsets: (N + 1,) where each row starts in `text`, and where the last one ends.
    Returns the values, (G, pixels) uint8 of the G good rows in order, and (N,) bool: the good rows, which
    hold exactly `pixels` numbers of at most three digits in 0…255 and nothing else.
    """
    text = text[offsets[0] : offsets[-1]]
    starts = offsets - offsets[0]
    rows = len(offsets) - 1
    digit = text - np.uint8(ord("0"))
    is_digit = digit < 10
    # Whether a character continues the number that the character before it belongs to.
    continues = np.zeros(len(text) + 1, np.bool_)
    continues[1:-1] = is_digit[1:] & is_digit[:-1]
    continues[starts] = False
    value = digit.astype(np.uint16)
    third = continues[2:-1] & continues[1:-2]
    value[1:] += digit[:-1] * (np.uint16(10) * continues[1:-1])
    value[2:] += digit[:-2] * (np.uint16(100) * third)
    ends = np.flatnonzero(is_digit & ~continues[1:])
    numbers = value[ends]

    wrong = ~is_digit
    for separator in _SEPARATORS:
        wrong &= text != separator
    wrong[3:] |= third[1:] & continues[1:-3]
    wrong[ends] |= numbers > 255
    first = np.searchsorted(ends, starts)
    good = np.diff(first) == pixels
    good[np.searchsorted(starts, np.flatnonzero(wrong), side="right") - 1] = False
    if good.all():
        return numbers.astype(np.uint8).reshape(rows, pixels), good
    of_row = np.repeat(good, np.diff(first))
    return numbers[of_row].astype(np.uint8).reshape(-1, pixels), good


def fault(text: bytes, pixels: int) -> str:
    """What is wrong with one row that `parse_block` refused, in words."""
    tokens = text.translate(bytes.maketrans(_SEPARATORS, b" " * len(_SEPARATORS))).split(b" ")
    tokens = [token for token in tokens if token]
    for i, token in enumerate(tokens):
        if not (token.isdigit() and len(token) <= 3 and int(token) <= 255):
            shown = token[:20].decode("utf-8", "replace")
            return f"pixel {i} is {shown!r}: expected a whole number in 0…255"
    return f"{len(tokens)} pixels: expected {pixels}"
