"""What was measured of explanations, as tables of a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.errors import DataError
from mien.explain.regions import REGIONS

Measured = Mapping[str, Any]

FINDINGS = {
    "anger_upper": "anger: a pixel of the upper half against one of the lower",
    "happiness_lower": "happiness: a pixel of the lower half against one of the upper",
    "anger_above_happiness": "the upper half's share, anger less happiness",
}


def read(path: Path) -> Measured:
    """What `mien explanations measure` wrote.

    Raises: DataError when there is no such file, or it holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected what 'mien explanations measure' wrote ({error})") from error
    whole = isinstance(found, dict) and {"methods", "blind", "faces"} <= set(found) and found["methods"]
    if not whole or "per_emotion" not in found["faces"]:
        raise DataError(f"{path} holds no explanations: expected what 'mien explanations measure' wrote")
    return found


def trust(measured: Measured) -> str:
    """How alike maps stay under random weights, and what deletion and insertion cost, a line a method."""
    heads = (
        "method", "rank, last layer random", "rank, all random (95 % interval)", "other faces",
        "SSIM, all random", "random weights", "deletion", "insertion", "against blind orders",
    )  # fmt: skip
    rows = []
    for name, found in measured["methods"].items():
        sanity, perturbed = found["randomisation"], found["perturbation"]
        rows.append(
            (
                f"`{name}`",
                _number(sanity["rank"][0]),
                _ends(sanity["rank"][-1]),
                _number(sanity["other_faces"]["rank"]),
                _number(sanity["structure"][-1]),
                sanity["verdict"],
                _ends(perturbed["deletion"]["area"]),
                _ends(perturbed["insertion"]["area"]),
                perturbed["verdict"],
            )
        )
    for order, found in measured["blind"].items():
        areas = (_ends(found["deletion"]["area"]), _ends(found["insertion"]["area"]))
        rows.append((f"order: {order}", "", "", "", "", "", *areas, ""))
    n = measured["checked"]
    return f"{_about(measured)}; trust on {n:,} of them:\n\n" + _table(heads, rows)


def regions(measured: Measured) -> str:
    """By method, how dense each emotion's evidence is in each region, its share, and the upper half's."""
    heads = ("method", "emotion", "faces", *REGIONS, "upper half's share")
    rows = [
        (
            f"`{method}`",
            emotion,
            str(found["faces"]),
            *(f"{_number(found['density'][name])} ({_share(found['share'][name])})" for name in REGIONS),
            _ends(found["upper"]),
        )
        for method, by in measured["methods"].items()
        for emotion, found in by["emotions"]["each"].items()
    ]
    return _table(heads, rows)


def findings(measured: Measured) -> str:
    """What system C's paper cites, judged by each method."""
    heads = ("method", *FINDINGS.values())
    rows = []
    for name, found in measured["methods"].items():
        judged = found["emotions"]["findings"]
        cells = [
            f"{judged[key]['verdict']}: {_ends(judged[key]['value'])}" if key in judged else "–"
            for key in FINDINGS
        ]
        rows.append((f"`{name}`", *cells))
    return _table(heads, rows)


TABLES: dict[str, Callable[[Measured], str]] = {"trust": trust, "regions": regions, "findings": findings}
"""What can be told of a measurement, by name."""


def _about(measured: Measured) -> str:
    faces = measured["faces"]
    return (
        f"`{measured['command']}`: {faces['all']:,} faces that `{measured['model']}` reads right, "
        f"{faces['landmarks_read']:,} with landmarks of their own"
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell or '–' for cell in line)} |\n" for line in lines)


def _number(figures: Sequence[float | None]) -> str:
    return "–" if figures[0] is None else f"{figures[0]:.2f}".replace("-", "−")


def _ends(figures: Sequence[float | None]) -> str:
    """Value and interval."""
    if figures[1] is None or figures[2] is None:
        return _number(figures)
    return f"{_number(figures)} ({figures[1]:.2f} to {figures[2]:.2f})".replace("-", "−")


def _share(figures: Sequence[float | None]) -> str:
    return "–" if figures[0] is None else f"{figures[0]:.0%}"
