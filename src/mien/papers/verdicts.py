"""The verdicts on a claim, and what several of them say together."""

from __future__ import annotations

from collections.abc import Sequence

HOLDS, PARTLY, FAILS, NEVER_RUN = "holds", "partly", "does not hold", "never run"


def together(verdicts: Sequence[str]) -> str:
    """The one that all share, else 'partly'; 'never run' where there is none."""
    found = set(verdicts)
    if not found:
        return NEVER_RUN
    return found.pop() if len(found) == 1 else PARTLY
