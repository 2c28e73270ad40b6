"""People beside a network: system C's Table 1, the accuracy of its authors, and FER+'s raters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from mien.ledger import Entry
from mien.papers.figures_c import FINAL
from mien.papers.sheet import Block, Sheet
from mien.papers.sources import Sources, largest

TITLE = "people's accuracy per emotion, beside one rater of FER+ and our network"

PEOPLE_ON_FER2013 = 0.634
"""Accuracy of system C's authors, each labelling 100 random faces of FER-2013 (its 5.2)."""

PSYCHOLOGICAL_STUDY: dict[str, float] = {
    "happy": 0.987,
    "surprise": 0.924,
    "disgust": 0.923,
    "angry": 0.889,
    "sad": 0.892,
    "fear": 0.877,
    "neutral": 0.916,
}
"""Accuracy of people per emotion, on large and clear pictures that move. Source: system C, Table 1."""


@dataclass(frozen=True)
class PeopleRow:
    """Rates in 0…1 of one emotion, or of all faces; None where not known.

    paper: of people, as the paper gives it. rater: one of FER+'s raters against the majority of the others.
    network: ours against the labels. network_as_rater: ours in each rater's seat.
    """

    emotion: str
    paper: float | None
    rater: float | None = None
    network: float | None = None
    network_as_rater: float | None = None


@dataclass(frozen=True)
class PeopleTable:
    """Table 1 beside ours. `over_all` compares the paper's authors on FER-2013 itself.

    split, budget: of the run that ours are from; None where it was never run.
    """

    rows: tuple[PeopleRow, ...]
    over_all: PeopleRow
    split: str | None
    budget: str | None

    def to_dict(self) -> dict[str, Any]:
        """The table as `mien reproduce C/table-1 --json` prints it."""
        return asdict(self)


def people_table(entries: Iterable[Entry]) -> PeopleTable:
    """System C's Table 1 beside the final network's largest finished budget, or alone without one."""
    entry = largest(entry for entry in entries if entry["recipe"] == FINAL)
    if entry is None:
        rows = tuple(PeopleRow(emotion, rate) for emotion, rate in PSYCHOLOGICAL_STUDY.items())
        return PeopleTable(rows, PeopleRow("all faces", PEOPLE_ON_FER2013), None, None)
    split, figures = next(iter(entry["figures"].items()))
    humans = figures["humans"] or {}
    rater, seat = humans.get("rater_ceiling", {}), humans.get("in_a_raters_seat", {})
    rows = tuple(
        PeopleRow(
            emotion,
            rate,
            rater.get("per_class", {}).get(emotion),
            figures["per_class"].get(emotion, {}).get("recall"),
            seat.get("per_class", {}).get(emotion),
        )
        for emotion, rate in PSYCHOLOGICAL_STUDY.items()
    )
    over_all = PeopleRow(
        "all faces", PEOPLE_ON_FER2013, rater.get("accuracy"), figures["accuracy"], seat.get("accuracy")
    )
    return PeopleTable(rows, over_all, split, entry["budget"]["name"])


_HEADS = ("emotion", "people, paper", "one rater", "network as rater", "network, labels")
_NOTES = (
    "People in the paper: of each emotion a psychological study's, on large and clear pictures that move; of "
    "all faces the authors', on 100 random faces of FER-2013 each, against its labels.",
    "One rater, network as rater: FER+, against the majority of the other nine raters.",
)


def sheet(sources: Sources) -> Sheet:
    """The table as it is printed."""
    found = people_table(sources.entries)
    cells = [
        (row.emotion, *("–" if rate is None else f"{rate:.3f}" for rate in _rates(row)))
        for row in (*found.rows, found.over_all)
    ]
    blocks, data = [Block(_HEADS, cells)], found.to_dict()
    if found.budget is None:
        return Sheet(blocks, _NOTES, never_run=[FINAL], data=data)
    network = f"network: {FINAL}, budget {found.budget}, on {found.split}"
    return Sheet(blocks, (*_NOTES, network), data=data)


def _rates(row: PeopleRow) -> tuple[float | None, ...]:
    return row.paper, row.rater, row.network_as_rater, row.network
