"""The thesis's tables of its data, 5.1 to 5.4 (system E), and the same of any dataset of landmarks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from mien.data.landmarks import LandmarkSet, read
from mien.data.landmarks.counts import counts
from mien.data.landmarks.triplet_selection import KINDS
from mien.data.landmarks.triplet_votes import ALL, Agreement, agreement
from mien.errors import DataError
from mien.labels import SPLITS
from mien.landmark_layout import ACTION_UNITS
from mien.papers.sheet import Block, Sheet
from mien.papers.sources import Sources

_NAMES = "training, public, private: the thesis's train, validation and test"
_ASK = "--data PATH sets a dataset of landmarks beside it"
_COLUMNS = (*SPLITS, ALL)

_Cells = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class DataTable:
    """faces: whose the thesis's are. rows: of each split and of all. ours: a row's name in `counts`.

    shares: the figures are shares and not numbers. notes: what is to be known of the thesis's.
    """

    title: str
    faces: str
    rows: _Cells
    ours: Mapping[str, str]
    shares: bool = False
    notes: tuple[str, ...] = ()


POSED = DataTable(
    "posed faces by split",
    "BU-3DFE",
    {"people": (80, 10, 10, 100), "faces": (2_000, 250, 250, 2_500)},
    {"people": "people", "faces": "n"},
)
"""Table 5.1."""

SPONTANEOUS = DataTable(
    "spontaneous faces by split",
    "BP4D",
    {
        "people": (25, 8, 8, 41),
        "faces": (223_883, 72_173, 71_436, 367_492),
        "with action units": (88_570, 29_450, 28_632, 146_652),
    },
    {"people": "people", "faces": "n", "with action units": "coded"},
)
"""Table 5.2."""

UNITS = DataTable(
    "share of spontaneous faces that show each action unit",
    "BP4D",
    {
        "AU1": (0.216, 0.227, 0.18, 0.221),
        "AU2": (0.179, 0.154, 0.161, 0.17),
        "AU4": (0.217, 0.173, 0.185, 0.201),
        "AU6": (0.479, 0.396, 0.472, 0.448),
        "AU7": (0.54, 0.473, 0.657, 0.516),
        "AU10": (0.633, 0.567, 0.502, 0.61),
        "AU12": (0.582, 0.515, 0.548, 0.558),
        "AU14": (0.503, 0.395, 0.425, 0.462),
        "AU15": (0.16, 0.135, 0.233, 0.151),
        "AU17": (0.353, 0.256, 0.404, 0.3162),
        "AU23": (0.165, 0.092, 0.244, 0.137),
        "AU24": (0.169, 0.08, 0.17, 0.135),
    },
    {f"AU{unit}": f"AU{unit}" for unit in ACTION_UNITS},
    shares=True,
    notes=(
        "of the faces with action units; the thesis's shares of all faces are 0.61 times those of training "
        "and 0.39 times those of public, fitted by least squares: private seems to be left out",
    ),
)
"""Table 5.3."""

AGREEMENT = Agreement(
    (5, 3, 1),
    {
        "training": {KINDS[0]: (1_299, 1_181, 1_016), KINDS[1]: (1_127, 1_183, 1_190)},
        "public": {KINDS[0]: (364, 328, 298), KINDS[1]: (288, 358, 345)},
        "private": {KINDS[0]: (418, 367, 322), KINDS[1]: (310, 400, 397)},
        ALL: {KINDS[0]: (2_081, 1_876, 1_636), KINDS[1]: (1_725, 1_941, 1_932)},
    },
)
"""Table 5.4: by how many more of five people chose the one face than the other."""

AGREEMENT_TITLE = "triplets by agreement of the people who judged them"


def data_sheet(table: DataTable, sources: Sources) -> Sheet:
    """One of Tables 5.1 to 5.3, and the same of the dataset in `sources`, where there is one."""
    cells = [(name, *(_cell(value, table.shares) for value in values)) for name, values in table.rows.items()]
    blocks = [Block(("", *_COLUMNS), cells, f"the thesis's, of {table.faces}")]
    paper = {name: dict(zip(_COLUMNS, values, strict=True)) for name, values in table.rows.items()}
    notes = [_NAMES, *table.notes]
    if sources.data is None:
        return Sheet(blocks, (*notes, _ASK), data={"paper": paper, "data": None})
    dataset = read(sources.data)
    counted = counts(dataset.faces)
    parts = {**counted["splits"], ALL: counted}
    ours = {
        row: {name: _figure(part, key) for name, part in parts.items()} for row, key in table.ours.items()
    }
    rows = [(row, *(_cell(value, table.shares) for value in of.values())) for row, of in ours.items()]
    blocks.append(Block(("", *parts), rows, _title("faces", sources, dataset)))
    if table.shares and not counted["coded"]:
        notes.append("no action units of these faces are coded")
    return Sheet(blocks, notes, data={"paper": paper, "data": {**_source(sources, dataset), "rows": ours}})


def agreement_sheet(sources: Sources) -> Sheet:
    """Table 5.4, and the same of the triplets beside the faces of the dataset in `sources`.

    Raises: DataError when no triplets lie beside them.
    """
    blocks = [_agreement(AGREEMENT, "the thesis's, of BP4D, five answers each")]
    notes = ["differences of votes: 5 all of five agree, 1 three against two", _NAMES]
    data: dict[str, Any] = {"paper": AGREEMENT.to_dict(), "data": None}
    if sources.data is None:
        return Sheet(blocks, (*notes, _ASK), data=data)
    dataset = read(sources.data)
    if dataset.triplets is None:
        raise DataError(
            f"no triplets lie beside the faces of {sources.data}: expected a folder with triplets.csv, as "
            "mien triplets writes it"
        )
    counted = agreement(dataset.faces, dataset.triplets)
    blocks.append(_agreement(counted, _title("triplets", sources, dataset)))
    data["data"] = {**_source(sources, dataset), "rows": counted.to_dict()}
    return Sheet(blocks, notes, data=data)


def _agreement(counted: Agreement, title: str) -> Block:
    rows = []
    for split, kinds in counted.counts.items():
        named = {split: counted.total(split), **{f"  {kind}": numbers for kind, numbers in kinds.items()}}
        for name, numbers in named.items():
            rows.append((name, *(f"{number:,}" for number in (*numbers, sum(numbers)))))
    return Block(("difference", *map(str, counted.differences), "all"), rows, title)


def _figure(part: Mapping[str, Any], key: str) -> float | None:
    """A number of some faces, or the share of an action unit; None where none is coded."""
    found: float | None = part["units"].get(key) if key.startswith("AU") else part[key]
    return found


def _cell(value: float | None, share: bool) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if share else f"{value:,.0f}"


def _title(what: str, sources: Sources, dataset: LandmarkSet) -> str:
    kind = ", synthetic" if dataset.faces.synthetic else ""
    return f"{what} of {sources.faces().resolve().name}{kind}"


def _source(sources: Sources, dataset: LandmarkSet) -> dict[str, Any]:
    return {"source": str(sources.data), "synthetic": dataset.faces.synthetic}


SHEETS: dict[str, tuple[str, Callable[[Sources], Sheet]]] = {
    "E/5.1": (POSED.title, partial(data_sheet, POSED)),
    "E/5.2": (SPONTANEOUS.title, partial(data_sheet, SPONTANEOUS)),
    "E/5.3": (UNITS.title, partial(data_sheet, UNITS)),
    "E/5.4": (AGREEMENT_TITLE, agreement_sheet),
}
"""By name on the command line."""
