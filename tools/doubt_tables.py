"""What `benchmarks/doubt.py` measured, as the tables of docs/calibration.md."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from network_tables import MEASUREMENTS, table

COVERAGES = (0.8, 0.9)
"""Of those measured, what every network's lines show; `ALL_OF` shows all."""

ALL_OF = "mien_s"

CASES = {
    "wrong": "the label, where the first choice is wrong",
    "people": "people's second, where they name one",
    "people_first_right": "the same, where the first is people's first",
}
SCORES = {
    "max_probability": "separation by the largest probability",
    "margin": "by the margin of the first two",
    "entropy": "by the entropy",
    "energy": "by the energy of the logits",
}


def doubt_table(name: str) -> str:
    """One of `TABLES`, from what is stored."""
    found = json.loads((MEASUREMENTS / "doubt.json").read_text(encoding="utf-8"))
    return TABLES[name](found["models"])


def _scalings(models: dict[str, Any]) -> str:
    rows = []
    for name, found in models.items():
        whole, kept = (found[part]["scalings"] for part in ("all", "without_copies"))
        for scaling, each in whole.items():
            other = kept[scaling]
            rows.append(
                [
                    f"`{name}`",
                    f"**{scaling}**" if scaling == found["scaling"] else scaling,
                    f"{each['ece']:.3f} ({other['ece']:.3f})",
                    f"{each['ece_equal_mass']:.3f} ({other['ece_equal_mass']:.3f})",
                    _gain(each),
                    f"{each['accuracy']:.3f} ({other['accuracy']:.3f})",
                ]
            )
    heads = ["network", "scaling", "ECE", "equal mass", "log-likelihood against temperature", "accuracy"]
    return table(heads, rows)


def _gain(found: dict[str, Any]) -> str:
    if "nll_more" not in found:
        return ""
    low, high = found["nll_more_ci95"]
    return f"{-found['nll_more']:+.3f} [{-high:+.3f}, {-low:+.3f}]"


def _sets(models: dict[str, Any]) -> str:
    rows = [
        [
            f"`{name}`",
            f"{each['coverage']:.2f}",
            f"{each['covered']:.3f} [{each['covered_ci95'][0]:.3f}, {each['covered_ci95'][1]:.3f}]",
            f"{each['size']:.2f}",
            f"{each['sure']:.0%}",
            _share(each["accuracy_sure"]),
            _share(each["accuracy_as_many"]),
            _share(each["accuracy_unsure"]),
        ]
        for name, found in models.items()
        for each in found["all"]["sets"]["lac"]
        if name == ALL_OF or each["coverage"] in COVERAGES
    ]
    heads = [
        "network", "coverage", "measured", "emotions a face", "sure", "right where sure",
        "right of as many by confidence", "right where unsure",
    ]  # fmt: skip
    return table(heads, rows)


def _emotions(models: dict[str, Any]) -> str:
    at = {
        name: next(each for each in found["all"]["sets"]["lac"] if each["coverage"] == COVERAGES[0])[
            "per_class"
        ]
        for name, found in models.items()
    }
    emotions = list(next(iter(at.values())))
    return table(
        [f"at {COVERAGES[0]}", *emotions],
        [[f"`{name}`", *(_share(held[emotion]) for emotion in emotions)] for name, held in at.items()],
    )


def _leaks(models: dict[str, Any]) -> str:
    rows = [
        [
            f"`{name}`",
            *(
                f"{found['fitted_on_all'][part]['covered']:.3f} "
                f"[{found['fitted_on_all'][part]['covered_ci95'][0]:.3f}, "
                f"{found['fitted_on_all'][part]['covered_ci95'][1]:.3f}]"
                for part in ("without_leaks", "leaks")
            ),
        ]
        for name, found in models.items()
    ]
    return table(["network", "faces without a copy or near copy in training", "faces with one"], rows)


def _second(models: dict[str, Any]) -> str:
    rows = [
        [words]
        + [
            cell
            for found in models.values()
            for cell in (
                _with_ends(found["all"]["second_choice"][case], "second"),
                _share(found["all"]["second_choice"][case]["constant"]),
            )
        ]
        for case, words in CASES.items()
    ]
    return table(["", *(cell for name in models for cell in (f"`{name}`", "constant"))], rows)


def _no_face(models: dict[str, Any]) -> str:
    each = [found["all"]["no_face"] for found in models.values()]
    rows = [
        [f"unsure of the training split's {each[0]['n']}", *(_with_ends(one, "unsure") for one in each)],
        ["by the sets alone", *(_with_ends(one["by_sets"], "unsure") for one in each)],
        ["unsure of faces", *(_share(one["unsure_faces"]) for one in each)],
        ["by the sets alone", *(_share(one["by_sets"]["unsure_faces"]) for one in each)],
    ]
    for score, words in SCORES.items():
        areas = [one["auroc"][score] for one in each]
        rows.append([words, *(f"{area:.2f} [{low:.2f}, {high:.2f}]" for area, low, high in areas)])
    return table(["", *(f"`{name}`" for name in models)], rows)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _with_ends(found: dict[str, Any], name: str) -> str:
    if found[name] is None:
        return "–"
    low, high = found[f"{name}_ci95"]
    return f"{found[name]:.0%} [{100 * low:.0f}, {100 * high:.0f}]"


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "scalings": _scalings,
    "sets": _sets,
    "emotions": _emotions,
    "leaks": _leaks,
    "second": _second,
    "no_face": _no_face,
}
"""The tables by the names that the page gives them."""
