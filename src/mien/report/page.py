"""A run as one self-contained HTML page: it refers to nothing outside itself, and can be mailed or kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from mien import storage
from mien.evaluation.calibration import SCALED_BY, error_of_kind
from mien.evaluation.figures import Evaluation, Figures
from mien.report import figures as draw
from mien.report import html
from mien.report.examples import Example, Examples
from mien.report.style import svg

_TEMPLATE = Path(__file__).with_name("page.html")

_NO_BREAK = "\u2060"
"""The word joiner: a range stays on one line."""

History = Sequence[Mapping[str, Any]]


def write_report(
    path: Path,
    record: Mapping[str, Any],
    evaluation: Evaluation,
    history: History = (),
    examples: Examples | None = None,
) -> None:
    """Writes the page of one finished run, atomically.

    record: the run's ledger entry; keys that it lacks are left out of the page. history: the lines of its
    metrics.jsonl, else the record's own. examples: faces to show; they are embedded, so pass them only where
    the page stays with those who may see the dataset.
    Raises: StorageError when the path cannot be written; MissingDependency without matplotlib.
    """
    storage.write_text(path, page(record, evaluation, history, examples))


def page(
    record: Mapping[str, Any],
    evaluation: Evaluation,
    history: History = (),
    examples: Examples | None = None,
) -> str:
    """The text of the page that `write_report` writes."""
    sections = [
        _results(record, evaluation),
        *_people(evaluation),
        _classes(evaluation),
        *_training(record, history or record.get("history") or ()),
        _trust(evaluation.figures),
        *_single_faces(examples),
        html.record(record, evaluation.model),
    ]
    subtitle = (
        f"{evaluation.model} on {evaluation.figures.n:,} faces of {evaluation.dataset}, "
        f"split {evaluation.split}, protocol {evaluation.protocol}"
    )
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(str(record.get("recipe") or evaluation.model)),
        subtitle=escape(subtitle),
        sections="\n".join(sections),
    )


def _percent(rate: float | None) -> str:
    return "–" if rate is None else f"{100 * rate:.1f}%"


def _interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f"{100 * ends[0]:.1f}–{_NO_BREAK}{100 * ends[1]:.1f}%"


def _results(record: Mapping[str, Any], evaluation: Evaluation) -> str:
    figures, originals = evaluation.figures, evaluation.without_copies
    shown = [("Accuracy", _percent(figures.accuracy), f"95% interval {_interval(figures.accuracy_ci95)}")]
    if originals is not None:
        interval = f"95% interval {_interval(originals.accuracy_ci95)}"
        shown.append(("Accuracy without copied faces", _percent(originals.accuracy), interval))
    published = _published(record, evaluation.split)
    if published is not None:
        points = f"{100 * (figures.accuracy - published):+.1f}".replace("-", "−")
        shown.append(("The paper's accuracy", _percent(published), f"ours {points} points"))
    shown += _under_protocols(record, evaluation.split)
    shown.append(("Balanced accuracy", _percent(figures.balanced_accuracy), "mean over the classes"))
    fitted = _cross_fitted(figures)
    if fitted is not None:
        shown.append(("Calibration error", _percent(fitted), "fitted on one half, measured on the other"))
    return html.section("Results", html.cards(shown), _with_and_without(evaluation))


def _under_protocols(record: Mapping[str, Any], split: str) -> list[tuple[str, str, str]]:
    """Accuracy under each other test protocol that was measured on the split, beside the paper's."""
    shown = []
    for name, splits in record.get("protocols", {}).items():
        if (found := splits.get(split)) is None:
            continue
        about = f"{found['n']:,} faces, 95% interval {_interval(found['accuracy_ci95'])}"
        if (published := _published(record, split, name)) is not None:
            about += f"; the paper's {_percent(published)}"
        shown.append((f"Accuracy under {name}", _percent(found["accuracy"]), about))
    return shown


def _published(record: Mapping[str, Any], split: str, protocol: str = "single") -> float | None:
    """The paper's accuracy on a split under a protocol, where it gives one."""
    rows = (record.get("paper") or {}).get("rows", ())
    given = (row["accuracy"].get(split) for row in rows if row["protocol"] == protocol)
    return next((accuracy for accuracy in given if accuracy is not None), None)


def _cross_fitted(figures: Figures) -> float | None:
    return error_of_kind(figures.calibration)[1] if figures.calibration else None


def _covered(figures: Figures) -> str:
    """How often the sets hold the label, beside the coverage that they were fitted to."""
    if figures.doubt is None:
        return _percent(None)
    sets = figures.doubt["cross_fitted"]
    aim = _percent(figures.doubt["coverage"])
    return f"{_percent(sets['covered'])} ({_interval(sets['covered_ci95'])}) of {aim}"


def _sure(figures: Figures) -> str:
    if figures.doubt is None:
        return _percent(None)
    sets = figures.doubt["cross_fitted"]
    return f"{_percent(sets['sure'])}; {_percent(sets['accuracy_sure'])}"


_ROWS: dict[str, Callable[[Figures], str]] = {
    "Accuracy": lambda f: f"{_percent(f.accuracy)} ({_interval(f.accuracy_ci95)})",
    "Balanced accuracy": lambda f: _percent(f.balanced_accuracy),
    "Macro F1": lambda f: _percent(f.macro_f1),
    "Calibration error, as shipped": lambda f: _percent(f.ece),
    "Calibration error, cross-fitted": lambda f: _percent(_cross_fitted(f)),
    "Negative log-likelihood": lambda f: f"{f.nll:.3f}",
    "Brier score": lambda f: f"{f.brier:.3f}",
    "Label among what a face could be, cross-fitted": _covered,
    "Sure, and right where sure": _sure,
}


def _with_and_without(evaluation: Evaluation) -> str:
    figures, originals = evaluation.figures, evaluation.without_copies
    measured, heads = [figures], ["", f"all {figures.n:,} faces"]
    caption = "Copies of training faces were not looked for, or there is no other face."
    if originals is not None:
        measured.append(originals)
        heads.append(f"{originals.n:,} without copies")
        caption = (
            f"{evaluation.copies:,} of these faces are pixel copies of training faces; "
            "the right-hand column leaves them out. In brackets, 95% intervals."
        )
    rows = [[name, *(show(each) for each in measured)] for name, show in _ROWS.items()]
    return "<h3>With and without copied faces</h3>" + html.table(caption, heads, rows)


def _people(evaluation: Evaluation) -> Iterator[str]:
    people = evaluation.figures.humans
    if people is None:
        return
    originals = evaluation.without_copies
    measured = [people] + ([originals.humans] if originals and originals.humans else [])
    heads = ["", "all faces", "without copies"][: len(measured) + 1]
    rows: dict[str, Callable[[dict[str, Any]], str]] = {
        "Network in a rater's seat": lambda p: _percent(p["in_a_raters_seat"]["accuracy"]),
        "One rater in the same seat": lambda p: _percent(p["rater_ceiling"]["accuracy"]),
        "Network against the clear majority": lambda p: (
            f"{_percent(p['accuracy'])} ({_interval(p['accuracy_ci95'])})" if p["clear"] else "–"
        ),
        "The dataset's labels against it": lambda p: _percent(p["label_agreement"]),
        "KL(votes ‖ network), nats": lambda p: "–" if p["kl"] is None else f"{p['kl']:.3f}",
        "KL(votes ‖ their mean), nats": lambda p: (
            "–" if p["kl_constant"] is None else f"{p['kl_constant']:.3f}"
        ),
    }
    yield html.section(
        "Beside people",
        html.paragraph(
            f"{people['n']:,} faces carry raters' votes, {people['clear']:,} with a clear majority. "
            "In a rater's seat, network and rater answer for the same faces and are compared with the "
            "majority of the other raters; a rater who chose none of the network's emotions is left out."
        ),
        html.table(
            "Agreement with people. Higher is better, but lower for KL.",
            heads,
            [[name, *(show(each) for each in measured)] for name, show in rows.items()],
        ),
    )


def _classes(evaluation: Evaluation) -> str:
    figures = evaluation.figures
    people = figures.humans
    caption = "Bars: share of each class's faces that the network names right; lines: 95% intervals."
    if people:
        caption += " Paler: the network in a rater's seat. Outlined: one rater in the same seat."
    spoken = ", ".join(f"{name} {_percent(each.recall)}" for name, each in figures.per_class.items())
    rows = []
    for name, each in figures.per_class.items():
        row = [name, f"{each.support:,}", f"{_percent(each.recall)} ({_interval(each.recall_ci95)})"]
        row += [_percent(each.precision), _percent(each.f1)]
        if people:
            row += [_percent(people[who]["per_class"][name]) for who in ("in_a_raters_seat", "rater_ceiling")]
        rows.append(row)
    heads = [
        "",
        "faces",
        "recall",
        "precision",
        "F1",
        *(["in a rater's seat", "one rater"] if people else []),
    ]
    return html.section(
        "Class by class",
        html.side_by_side(
            html.figure(svg(draw.per_class_bars(figures), f"Accuracy of each class: {spoken}."), caption),
            html.figure(
                svg(
                    draw.confusion_matrix(figures.confusion, evaluation.labels),
                    f"Confusion matrix; on its diagonal: {spoken}.",
                ),
                "Of each true class, what the network said: shares of the row, and counts below them.",
            ),
        ),
        html.table("All figures of each class, against the dataset's labels.", heads, rows),
    )


def _training(record: Mapping[str, Any], history: History) -> Iterator[str]:
    kept = (record.get("budget") or {}).get("best_epoch")
    drawn = []
    for name, function in (("accuracy", draw.accuracy_curves), ("loss", draw.loss_curves)):
        column = f"validation_{name}"
        values = [line[column] for line in history if line.get(column) is not None]
        if values:
            alt = f"{name.capitalize()} over {len(history)} epochs: validation ends at {values[-1]:.3f}."
            caption = (
                f"Validation {name} from {values[0]:.3f} to {values[-1]:.3f} over {len(history)} epochs."
            )
            drawn.append(html.figure(svg(function({"": history}, kept), alt), caption))
    if drawn:
        yield html.section("Training", html.side_by_side(*drawn))


def _trust(figures: Figures) -> str:
    calibration = figures.calibration
    told = "The nearer the bars lie to the diagonal, the more a confidence means what it says."
    if calibration:
        kind, error = error_of_kind(calibration)
        told += (
            f" As trained the calibration error is {_percent(calibration['ece_uncalibrated'])}; with the "
            f"network's own scaling {_percent(figures.ece)}; with {SCALED_BY[kind]} fitted on one half and "
            f"measured on the other, {_percent(error)}."
        )
    alt = f"Reliability diagram: expected calibration error {_percent(figures.ece)}."
    return html.section(
        "How far its confidence can be trusted",
        html.side_by_side(html.figure(svg(draw.reliability_diagram(figures.reliability), alt), told)),
    )


def _single_faces(examples: Examples | None) -> Iterator[str]:
    if examples is None or not (examples.best or examples.worst):
        return
    parts = [
        html.paragraph(
            "One of each emotion. The heat shows the pixels that move the score of the answer most."
        )
    ]
    for heading, shown in (("Right and surest", examples.best), ("Wrong and surest", examples.worst)):
        if shown:
            cards = "\n".join(_example(each) for each in shown)
            parts.append(f'<h3>{heading}</h3>\n<div class="examples">\n{cards}\n</div>')
    yield html.section("Single faces", *parts)


def _example(example: Example) -> str:
    told = f"face {example.row}, labelled {example.truth}, read as {example.predicted}"
    images = html.picture(example.image, told)
    if example.saliency is not None:
        scaled = example.saliency / (example.saliency.max() or 1.0)
        colours = (draw.heat(scaled)[..., :3] * 255).round().astype("uint8")
        images += html.picture(colours, f"saliency of {told}", "map")
    people = f"<br>people: {escape(example.people)}" if example.people else ""
    return (
        f"<figure><div>{images}</div><figcaption><b>{escape(example.predicted)}</b> {example.confidence:.0%}"
        f"<br>label: {escape(example.truth)}{people}<br>row {example.row}</figcaption></figure>"
    )
