"""`mien evaluate`: how good a network is on a split of a dataset."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.extras import require
from mien.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.table import Table

    from mien.evaluation.figures import Evaluation, Figures
    from mien.evaluation.protocols import Classifier, Protocol
    from mien.faces import FaceBatch
    from mien.inference.predictor import Predictor


def evaluate(
    model: Annotated[str, typer.Argument(help="A network's name, an .onnx file or a run folder.")],
    *,
    data: Annotated[Path, typer.Option(help="Dataset in any format that mien data reads.")],
    split: Annotated[str, typer.Option(help="training, public or private; of landmarks also unseen.")],
    protocol: Annotated[
        str,
        typer.Option(
            help="single: each picture as it is. eval1: the mean over 10 crops. eval2: the mean over 648 "
            "crops of 4 sizes and 9 angles (system A's tests; they need the train extra)."
        ),
    ] = "single",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Measure that many faces of the split, drawn at random.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of --limit's draw.")] = 0,
    precision: Annotated[
        str | None,
        typer.Option(
            help="What eval1 and eval2 compute in: 32-true, or bf16-mixed, faster where the machine has it.",
            show_default="32-true",
        ),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option(help="Leave out rows that are wrong instead of stopping.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file as well.")] = None,
    ledger: Annotated[
        Path | None,
        typer.Option(
            help="MODEL is a run folder: add the figures to its entry in this ledger folder and to its card."
        ),
    ] = None,
) -> None:
    """Measure a network: accuracy with its interval, each class, calibration, agreement with people.

    Figures are given with and without the faces that are copies of training faces, and without those of
    FER-2013 that have a near copy there (docs/leaks.md). A network that sees whole faces has no eval1, whose
    crops are parts of one.

    Of a run on landmarks: what linear classifiers read from its representation, and satisfied triplets.

    Example: mien evaluate mien_s --data fer2013.csv --split public
    """
    from mien.cli.landmark_evaluation import evaluate_run, is_landmark_run

    if is_landmark_run(model):
        if protocol != "single" or limit is not None or ledger is not None:
            raise DataError(f"{model} is a run on landmarks: leave out --protocol, --limit and --ledger")
        evaluate_run(Path(model), data, split, skip_bad=skip_bad, json_output=json_output, out=out)
        return
    from mien import storage
    from mien.data.leaks import leaked
    from mien.evaluation import protocols
    from mien.experiments import entry
    from mien.inference.predictor import load

    chosen = protocols.find(protocol)
    predictor = load(model)
    classify, used_precision = _classifier(predictor, chosen, precision)
    if ledger is not None:
        # Before hours of work, and again when the figures are added.
        entry.check_addition(Path(model), ledger, protocol, limit)
    everything = _read(data, split, skip_bad)
    faces, sample = protocols.sample(everything.split(split), limit, seed)
    copies = _copies(everything, faces, split)
    begun = time.monotonic()
    found = _evaluated(
        classify,
        faces,
        model=model,
        dataset=data.name,
        split=split,
        protocol=protocol,
        labels=predictor.labels,
        copies=copies,
        leaks=leaked(faces.images, split),
        decision=predictor.card.decision,
        sample=sample,
    )
    figures = {**found.to_dict(), "measured": entry.measured(time.monotonic() - begun, used_precision)}
    if out is not None:
        storage.write_json(out, figures)
    if ledger is not None:
        entry.add(Path(model), ledger, figures)
    if json_output:
        import json

        typer.echo(json.dumps(figures, ensure_ascii=False, allow_nan=False))
    else:
        _show(found)


def _read(data: Path, split: str, skip_bad: bool) -> FaceBatch:
    """Every split of a dataset, since copies are looked for in the training split; bad rows are told of."""
    from mien import data as datasets

    everything = datasets.read(data, skip_bad=skip_bad, assume_split=split)
    if everything.skipped:
        first = everything.skipped[0]
        typer.echo(f"mien: left out {len(everything.skipped)} bad rows, the first: {first}", err=True)
    return everything


def _evaluated(classify: Classifier, faces: FaceBatch, **about: Any) -> Evaluation:
    from mien.cli.progress import faces_done
    from mien.evaluation import figures

    with faces_done("evaluating") as report:
        return figures.evaluate(classify, faces, progress=report, **about)


def _classifier(predictor: Predictor, protocol: Protocol, precision: str | None) -> tuple[Classifier, str]:
    """What reads faces by a protocol, and in what precision: the exported file itself, or its crops' mean."""
    if protocol.crops is not None:
        require("train")
        from mien.models.multi_crop import MultiCrop
        from mien.models.onnx_file import restore

        shown = MultiCrop(restore(predictor.path), protocol, precision=precision or "32-true")
        return shown, shown.precision
    if precision is not None:
        raise DataError(
            f"--precision is of eval1 and eval2: {protocol.name} reads with the exported file as it is"
        )

    def classify(images: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
        readings = predictor.classify(images)
        return readings.probabilities, readings.logits

    return classify, "32-true"


def _copies(everything: FaceBatch, faces: FaceBatch, split: str) -> NDArray[np.bool_] | None:
    from mien.data.known import copies_of_training
    from mien.labels import SPLITS

    training = SPLITS.index("training")
    if split == SPLITS[training]:
        return None
    return copies_of_training(faces.images, everything.images[everything.splits == training])


def _show(found: Evaluation) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    figures = found.figures
    console.print(
        f"[bold]{found.model}[/bold] on {found.dataset}, split {found.split}, protocol {found.protocol}"
    )
    if found.sample:
        part = found.sample
        console.print(f"{part.faces:,} of {part.of:,} faces, drawn with seed {part.seed}")
    if found.left_out:
        console.print(f"{found.left_out:,} faces of emotions that the network does not know are left out")
    for table in (_overall(found), _classes(figures), _confusion(figures, found.labels)):
        console.print()
        console.print(table)


def _percent(rate: float | None) -> str:
    return "–" if rate is None else f"{100 * rate:.1f}%"


def _with_interval(rate: float | None, ends: Any) -> str:
    return _percent(rate) + ("" if ends is None else f" ({100 * ends[0]:.1f}–{100 * ends[1]:.1f})")


def _table(title: str, *heads: str) -> Table:
    from rich import box
    from rich.table import Table

    # Three columns of intervals fill the 80 of a terminal: no edge, and names that are too long are folded.
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        show_edge=False,
        pad_edge=False,
    )
    table.add_column(heads[0], overflow="fold")
    for head in heads[1:]:
        table.add_column(head, justify="right", no_wrap=True)
    return table


def _overall(found: Evaluation) -> Table:
    title, columns = "Results", {"all": found.figures}
    if found.without_copies is not None:
        columns["without copies"] = found.without_copies
        copied = "1 face is a copy" if found.copies == 1 else f"{found.copies:,} faces are copies"
        title += f"; {copied} of training faces"
    if found.without_leaks is not None:
        columns["without leaks"] = found.without_leaks
        title += f"; copies and near copies: {found.leaks:,}"
    from mien.evaluation.calibration import error_of_kind, fitted_elsewhere

    measured = list(columns.values())
    heads = [f"{name}\n{figures.n:,} faces" for name, figures in columns.items()]
    table = _table(title, "", *heads)
    table.add_row("accuracy (95% interval)", *(_with_interval(f.accuracy, f.accuracy_ci95) for f in measured))
    if any(fitted := [fitted_elsewhere(f.calibration) if f.calibration else None for f in measured]):
        table.add_row("accuracy, cross-fitted", *("–" if a is None else _percent(a) for a in fitted))
    table.add_row("balanced accuracy", *(_percent(f.balanced_accuracy) for f in measured))
    table.add_row("macro F1", *(_percent(f.macro_f1) for f in measured))
    table.add_row("calibration error (ECE)", *(_percent(f.ece) for f in measured))
    calibrations = [f.calibration for f in measured]
    if all(calibrations):
        table.add_row("ECE, as trained", *(_percent(c["ece_uncalibrated"]) for c in calibrations if c))
        table.add_row("ECE, cross-fitted", *(_percent(error_of_kind(c)[1]) for c in calibrations if c))
    doubts = [f.doubt for f in measured if f.doubt]
    if len(doubts) == len(measured):
        _add_doubt(table, doubts)
    people = [f.humans for f in measured if f.humans]
    if len(people) == len(measured):
        _add_people(table, people)
    return table


def _add_doubt(table: Table, doubts: list[dict[str, Any]]) -> None:
    """Lines on what a face could be, by the cross-fitted sets, beside the coverage they were fitted to."""
    sets = [doubt["cross_fitted"] for doubt in doubts]
    table.add_section()
    table.add_row(
        f"label in could_be ({doubts[0]['coverage']:.0%})",
        *(_with_interval(s["covered"], s["covered_ci95"]) for s in sets),
    )
    table.add_row("emotions in could_be", *(f"{s['size']:.2f}" for s in sets))
    table.add_row("sure", *(_percent(s["sure"]) for s in sets))
    for which in ("sure", "unsure"):
        name = f"accuracy_{which}"
        table.add_row(f"accuracy where {which}", *(_with_interval(s[name], s[f"{name}_ci95"]) for s in sets))
    wrong = [doubt["second_choice"] and doubt["second_choice"]["wrong"] for doubt in doubts]
    if all(wrong):
        table.add_row(
            "second, if first wrong",
            *(_with_interval(w["second"], w["second_ci95"]) for w in wrong),
        )
    absent = [doubt["no_face"] for doubt in doubts]
    if any(absent):
        cells = ("–" if a is None else f"{_percent(a['unsure'])} of {a['n']}" for a in absent)
        table.add_row("unsure, no face by FER+", *cells)


def _add_people(table: Table, people: list[dict[str, Any]]) -> None:
    table.add_section()
    table.add_row(
        "against people",
        *(_with_interval(p["accuracy"], p["accuracy_ci95"]) for p in people),
    )
    table.add_row("labels against people", *(_percent(p["label_agreement"]) for p in people))
    table.add_row("network against raters", *(_percent(p["in_a_raters_seat"]["accuracy"]) for p in people))
    table.add_row("a rater against others", *(_percent(p["rater_ceiling"]["accuracy"]) for p in people))
    table.add_row("KL from votes, nats", *("–" if p["kl"] is None else f"{p['kl']:.3f}" for p in people))


def _classes(figures: Figures) -> Table:
    people = figures.humans
    heads = ["faces", "recall (95%)", "precision", "F1"]
    table = _table("Classes", "", *heads, *(["vs raters", "one rater"] if people else []))
    for name, each in figures.per_class.items():
        row = [name, f"{each.support:,}", _with_interval(each.recall, each.recall_ci95)]
        row += [_percent(each.precision), _percent(each.f1)]
        if people:
            row += [_percent(people[who]["per_class"][name]) for who in ("in_a_raters_seat", "rater_ceiling")]
        table.add_row(*row)
    return table


def _confusion(figures: Figures, labels: tuple[str, ...]) -> Table:
    table = _table("Confusion: rows truth, columns what the network said", "", *labels)
    for row, (name, counts) in enumerate(zip(labels, figures.confusion.tolist(), strict=True)):
        cells = [
            f"[bold]{count}[/bold]" if row == column else str(count) for column, count in enumerate(counts)
        ]
        table.add_row(name, *cells)
    return table
