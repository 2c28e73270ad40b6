"""Every error that a person can meet. A message is one line: the value, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Iterable


def hint(given: str, known: Iterable[str]) -> str:
    """The end of a message on an unknown name: the nearest known one, or all where none is near."""
    # Not at the top: `mien --help` and good input never need it.
    from difflib import get_close_matches

    folded = {name.lower(): name for name in known}
    near = get_close_matches(given.lower(), folded, n=1)
    return f"did you mean {folded[near[0]]!r}?" if near else f"expected one of {', '.join(folded.values())}"


class MienError(Exception):
    """Root of the tree. `exit_code` is what the command line answers with: 2 bad input, 1 failure."""

    exit_code = 2


class DataError(MienError):
    """A dataset that is absent, malformed, or not what was asked for."""


class ImageError(MienError):
    """A picture that cannot be read."""


class ModelError(MienError):
    """An unknown network, or weights that do not fit it."""


class RecipeError(MienError):
    """A recipe that does not parse or validate."""


class CheckpointError(MienError):
    """A checkpoint or run folder that is missing, corrupt or of another run."""


class MissingDependency(MienError):
    """An optional package that the command needs; the message names the extra to install."""


class FetchError(MienError):
    """A file that could not be brought, or whose checksum is wrong."""

    exit_code = 1


class TrainingDiverged(MienError):
    """A loss that is no longer finite; the message names the last good checkpoint."""

    exit_code = 1


class ProcessLost(MienError):
    """Of several processes that train together, one has gone without a word: killed, or cut off."""

    exit_code = 1


class StorageError(MienError):
    """A write that failed: full disk, read-only folder."""

    exit_code = 1
