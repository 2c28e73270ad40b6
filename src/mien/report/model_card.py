"""A shipped network's card in words: one source for `mien models NAME` and for docs/model-card.md.

Source: Mitchell et al. 2019, Model Cards for Model Reporting, for what is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mien.evaluation.calibration import SCALED_BY, error_of_kind, fitted_elsewhere

Card = Mapping[str, Any]
Section = tuple[str, list[str]]
"""A heading and its lines."""

_WITHOUT = {
    "without_copies": "without copies of training faces",
    "without_leaks": "without copies and near copies of training faces",
}
"""What is left out beside all faces, by the card's key."""


def sections(card: Card) -> list[Section]:
    """What a card says, headings with lines; those of which it says nothing are left out."""
    told = [
        ("What it is", _identity(card)),
        ("Intended use", _text(card, "intended_use")),
        ("What the law forbids", _text(card, "forbidden")),
        ("Training data", _text(card, "training_data")),
        ("Licence", _text(card, "licence")),
        ("How right it is", _figures(card)),
        ("How fast it is", _latency(card)),
        ("For which faces", _fairness(card)),
        ("Not known", _unknown(card)),
        ("Limits", _text(card, "limits")),
    ]
    return [(heading, lines) for heading, lines in told if lines]


def markdown(card: Card) -> str:
    """The card as a page's text."""
    parts = [
        f"## {heading}\n\n" + "".join(f"- {line}\n" for line in lines) for heading, lines in sections(card)
    ]
    return "\n".join(parts)


def _text(card: Card, key: str) -> list[str]:
    return [str(card[key])] if card.get(key) else []


def _identity(card: Card) -> list[str]:
    lines = [
        f"{card['file']}, {card['bytes'] / 1e6:.2f} MB in {card.get('weights', 'float32')}, "
        f"{card['parameters']:,} parameters, architecture {card['architecture']}",
        f"sha256 {card['sha256']}",
        f"recipe {card['recipe']}, seed {card['seed']}, commit {card['commit'][:12]}, {card['date']}",
    ]
    if "converted" in card:
        made = card["converted"]
        lines.append(
            f"made of the {made['from']['weights']} file {made['from']['sha256'][:12]}…"
            + (f", calibrated on {made['calibration_faces']} faces" if made["calibration_faces"] else "")
        )
    return lines


def _figures(card: Card) -> list[str]:
    lines = []
    for split, found in card.get("figures", {}).items():
        lines += _of_split(split, "single pictures", found)
    for protocol, splits in card.get("protocols", {}).items():
        for split, found in splits.items():
            lines += _of_split(split, protocol, found)
    for split, found in card.get("maps", {}).items():
        near = found["neighbours"]
        lines.append(f"{split}: {near['accuracy']:.4f} by the vote of the nearest training faces")
    if "selected_on" in card and card["selected_on"] and lines:
        lines.append(f"chosen on the {card['selected_on']['split']} split: its figures are a little too good")
    for split, found in card.get("difference", {}).items():
        low, high = (100 * end for end in found["ci95"])
        lines.append(
            f"{split}: {100 * found['difference']:+.2f} points ({low:+.2f} to {high:+.2f}) beside the file "
            "that it was made of"
        )
    return lines


def _of_split(split: str, protocol: str, found: Card) -> list[str]:
    low, high = found["accuracy_ci95"]
    lines = [
        f"{split}, {protocol}: accuracy {found['accuracy']:.4f} ({low:.4f} to {high:.4f}, 95 %) on "
        f"{found['n']:,} faces, balanced {found['balanced_accuracy']:.4f}, macro F1 {found['macro_f1']:.4f}"
    ]
    for key, words in _WITHOUT.items():
        if kept := found.get(key):
            low, high = kept["accuracy_ci95"]
            lines.append(
                f"{split}, {protocol}, {words}: accuracy {kept['accuracy']:.4f} ({low:.4f} to {high:.4f}) on "
                f"{kept['n']:,} faces"
            )
    if calibration := found.get("calibration"):
        kind, error = error_of_kind(calibration)
        lines.append(
            f"{split}, {protocol}: {_crossed(calibration)}calibration error "
            f"{calibration['ece_uncalibrated']:.4f} as trained, {error:.4f} with {SCALED_BY[kind]} fitted on "
            "other faces"
        )
    return lines


def _crossed(calibration: Card) -> str:
    """The accuracy with what scales the logits fitted on other faces, where it can change an answer."""
    accuracy = fitted_elsewhere(calibration)
    return "" if accuracy is None else f"accuracy {accuracy:.4f} with a scaling fitted on other faces; "


def _latency(card: Card) -> list[str]:
    if "latency" not in card:
        return []
    lines = []
    for threads, batches in card["latency"]["ms"].items():
        for batch, spent in batches.items():
            low, high = spent["quartiles_ms"]
            lines.append(
                f"{threads.replace('_', ' ')}, {batch.replace('_', ' ')}: {spent['median_ms']:.2f} ms "
                f"(quartiles {low:.2f} to {high:.2f})"
            )
    return [*lines, f"on {card['latency']['processor']}, {card['latency']['date']}"]


def _fairness(card: Card) -> list[str]:
    lines = []
    for name, found in card.get("fairness", {}).items():
        told = [
            f"{each['group']}: {each['accuracy']:.3f} ({each['accuracy_ci95'][0]:.3f} to "
            f"{each['accuracy_ci95'][1]:.3f}, {each['n']:,})"
            for each in found["groups"]
            if each["n"]
        ]
        lines.append(f"{name.replace('_', ' ')}: {'; '.join(told)}")
    return lines


def _unknown(card: Card) -> list[str]:
    if not card.get("unknown"):
        return []
    return [
        f"whether it is right alike for every {', '.join(card['unknown'])}: no label of these exists here"
    ]
