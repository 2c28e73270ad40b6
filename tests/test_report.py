"""The page of a run and its figures: whole, self-contained, escaped, legible without pictures."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.errors import DataError, StorageError
from mien.evaluation.calibration import Scaling, softmax
from mien.evaluation.decision import Decision
from mien.evaluation.figures import Evaluation, evaluate
from mien.faces import FaceBatch
from mien.labels import EMOTIONS

pytest.importorskip("matplotlib")

from matplotlib.backends.backend_agg import FigureCanvasAgg

from mien.report import figures as draw
from mien.report.examples import choose, votes_in_words
from mien.report.page import page, write_report
from mien.report.style import EMOTION_COLOURS, INK, png, svg

OWN = Decision(Scaling.of_temperature(1.2, 7), 0.2, coverage=0.8)

VOID = {"meta", "img", "br", "link", "input", "hr", "source", "use", "path", "rect", "image", "line"}


def _faces(n: int = 150, votes: bool = True) -> FaceBatch:
    rng = np.random.default_rng(0)
    counts = rng.multinomial(10, rng.dirichlet(np.full(10, 0.3)), n).astype(np.uint8)
    return FaceBatch(
        images=rng.integers(0, 256, (n, 48, 48), dtype=np.uint8),
        labels=np.arange(n) % 7,
        splits=np.ones(n, np.int8),
        rows=np.arange(100, 100 + n),
        votes=counts if votes else counts * 0,
        source="drawn",
    )


def _answers(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    logits = images[:, 0, :7].astype(float) / 60
    return softmax(logits), logits


def _evaluation(votes: bool = True, copies: bool = True) -> Evaluation:
    faces = _faces(votes=votes)
    mask = np.arange(len(faces)) % 10 == 0 if copies else None
    return evaluate(
        _answers, faces, model="conv_net", dataset="drawn", split="public", copies=mask, decision=OWN
    )


def _history(epochs: int = 4) -> list[dict[str, Any]]:
    return [
        {"epoch": e, "train_loss": 2 / e, "validation_loss": 2.1 / e, "train_accuracy": 1 - 1 / (e + 1),
         "validation_accuracy": 0.9 - 1 / (e + 1)}
        for e in range(1, epochs + 1)
    ]  # fmt: skip


RECORD: dict[str, Any] = {
    "recipe": "c/final",
    "recipe_as_run": {"train": {"lr": 0.00127, "epochs": 4}, "model": {"options": {"filters": [32, 64]}}},
    "command": "mien train c/final --data 'my faces' --out run",
    "seed": 7,
    "commit": "abcdef0",
    "date": "2026-01-02",
    "machine": {"processor": "a processor", "accelerator": None},
    "budget": {"name": "smoke", "epochs": 4, "best_epoch": 3, "seconds": 12.5},
    "paper": {"system": "C", "rows": [{"row": "final", "accuracy": {"public": 0.607}, "protocol": "single"}]},
}


class Reader(HTMLParser):
    """Collects what a page holds, and fails where an element is closed that was not opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def _read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def whole() -> str:
    faces = _faces()
    examples = choose(faces, _answers(faces.images)[0], saliency_of=lambda images, targets: images / 255.0)
    return page(RECORD, _evaluation(), _history(), examples)


def test_a_page_is_well_formed_and_refers_to_nothing_outside(whole: str) -> None:
    reader = _read(whole)
    assert "http:" not in whole
    assert "https:" not in whole
    assert "@import" not in whole
    names = {tag for tag, _ in reader.tags}
    assert not names & {"script", "link", "iframe", "object", "embed"}
    for tag, attributes in reader.tags:
        for key in ("src", "href", "xlink:href", "srcset"):
            target = attributes.get(key)
            assert target is None or target.startswith(("data:image/png;base64,", "#")), (tag, target)
    anchors = [attributes["id"] for tag, attributes in reader.tags if tag == "h2"]
    assert len(anchors) == len(set(anchors))


def test_every_figure_can_be_heard(whole: str) -> None:
    reader = _read(whole)
    images = [attributes for tag, attributes in reader.tags if tag == "img"]
    drawings = [attributes for tag, attributes in reader.tags if tag == "svg"]
    assert len(drawings) == 5
    assert all(
        len(attributes["aria-label"] or "") > 20 and attributes["role"] == "img" for attributes in drawings
    )
    assert images
    assert all(attributes.get("alt") for attributes in images)
    heads = [tag for tag, _ in reader.tags if tag in {"h1", "h2", "h3"}]
    assert heads[0] == "h1"
    assert heads.count("h1") == 1
    assert ("html", {"lang": "en"}) in reader.tags


def test_the_page_says_the_figures_and_how_to_run_it_again(whole: str) -> None:
    words = _read(whole).words
    found = _evaluation()
    assert found.without_copies is not None
    assert found.figures.humans is not None
    for rate in (
        found.figures.accuracy, found.without_copies.accuracy, found.figures.balanced_accuracy,
        found.figures.humans["rater_ceiling"]["accuracy"], 0.607,
    ):  # fmt: skip
        assert f"{100 * rate:.1f}%" in words
    for told in (
        "mien train c/final --data 'my faces' --out run",
        "abcdef0",
        "train.lr 0.00127",
        "32, 64",
        "15 of",
    ):
        assert told in words
    assert "accelerator" not in words


def test_what_a_record_lacks_is_left_out() -> None:
    words = _read(page({}, _evaluation(votes=False, copies=False))).words
    assert "Training" not in words
    assert "Beside people" not in words
    assert "Single faces" not in words
    assert "To run it again" not in words
    assert "Copies of training faces were not looked for" in words


def test_hostile_names_are_text_and_dollars_are_no_placeholders() -> None:
    hostile = "<script>alert(1)</script>\"'&$sections"
    record = {**RECORD, "recipe": hostile, "command": hostile, "recipe_as_run": {hostile: hostile}}
    reader = _read(page(record, _evaluation(votes=False), _history()))
    assert "script" not in {tag for tag, _ in reader.tags}
    assert reader.words.count("<script>alert(1)</script>") >= 4
    assert "$sections" in reader.words


def test_faces_are_embedded_as_they_are() -> None:
    faces = _faces(7)
    examples = choose(faces, np.eye(7)[faces.labels] * 0.6 + 0.4 / 7)
    reader = _read(page({}, _evaluation(), (), examples))
    sources = [attributes["src"] or "" for tag, attributes in reader.tags if tag == "img"]
    shown = [np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))) for source in sources]
    assert len(shown) == 7
    assert all((image == faces.images[i]).all() for i, image in enumerate(shown))


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "run" / "report.html"
    write_report(path, RECORD, _evaluation())
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert list(path.parent.iterdir()) == [path]
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        write_report(tmp_path / "file" / "report.html", RECORD, _evaluation())


def test_examples_are_the_surest_right_and_wrong_of_each_emotion() -> None:
    faces = _faces(60)
    p = _answers(faces.images)[0]
    asked: list[np.ndarray] = []

    def saliency_of(images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        asked.append(targets)
        return images.astype(float)

    chosen = choose(faces, p, saliency_of=saliency_of)
    for shown, right in ((chosen.best, True), (chosen.worst, False)):
        for example in shown:
            place = example.row - 100
            rivals = (faces.labels == EMOTIONS.index(example.truth)) & (
                (p.argmax(1) == faces.labels) == right
            )
            assert example.confidence == p[rivals].max() == p[place].max()
            assert (example.predicted == example.truth) == right
            assert (example.saliency == faces.images[place]).all()
            assert example.people == votes_in_words(faces.votes[place])
    shown = [*chosen.best, *chosen.worst]
    assert [EMOTIONS.index(example.predicted) for example in shown] == asked[0].tolist()
    assert (
        votes_in_words(np.array([3, 0, 0, 6, 0, 0, 0, 1, 0, 0], np.uint8)) == "6 sad, 3 neutral, 1 contempt"
    )


def _all_figures() -> dict[str, Any]:
    found = _evaluation()
    runs = {"Adam": _history(), "momentum": _history(2)}
    rng = np.random.default_rng(1)
    return {
        "accuracy": draw.accuracy_curves({"": _history()}, best_epoch=3),
        "several": draw.accuracy_curves(runs),
        "loss": draw.loss_curves({"": _history(1)}),
        "comparison": draw.comparison_curves(runs, reference=("the paper", 0.607)),
        "classes": draw.per_class_bars(found.figures),
        "confusion": draw.confusion_matrix(found.figures.confusion, found.labels),
        "reliability": draw.reliability_diagram(found.figures.reliability),
        "saliency": draw.saliency_sheet(
            rng.random((3, 8, 8)) * 255, rng.random((3, 8, 8)), ["a", "b", "c"], 2
        ),
    }


@pytest.mark.parametrize("name", list(_all_figures()))
def test_nothing_drawn_leaves_its_figure_and_both_files_hold_it(name: str) -> None:
    figure = _all_figures()[name]
    picture = Image.open(io.BytesIO(png(figure, dpi=72)))
    assert picture.size == pytest.approx(figure.get_size_inches() * 72, abs=1)
    assert len(np.unique(np.asarray(picture.convert("L")))) > 8
    drawing = svg(figure, 'an "alternative" text')
    assert 'aria-label="an &quot;alternative&quot; text"' in drawing
    assert INK.lower() not in drawing.lower()
    assert "http" not in drawing
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn, size = figure.get_tightbbox(canvas.get_renderer()), figure.get_size_inches()
    assert drawn.x0 >= -0.01
    assert drawn.y0 >= -0.01
    assert drawn.x1 <= size[0] + 0.01
    assert drawn.y1 <= size[1] + 0.01


def test_comparison_names_each_options_best_epoch() -> None:
    figure = draw.comparison_curves({"Adam": _history(), "none": [{"epoch": 1}]})
    axes = figure.axes[0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Adam: 70.0%"]
    assert axes.lines[1].get_xydata().tolist() == [[4, pytest.approx(0.7)]]
    lowest = draw.comparison_curves({"Adam": _history(), "SGD": _history(2)}, "validation_loss", "Loss")
    assert [text.get_text() for text in lowest.legends[0].get_texts()] == ["Adam: 0.525", "SGD: 1.050"]


def test_bars_are_the_recalls_the_seat_and_the_ceiling() -> None:
    figures = _evaluation().figures
    assert figures.humans is not None
    heights = [bar.get_height() for bar in draw.per_class_bars(figures).axes[0].patches]
    expected = [each.recall for each in figures.per_class.values()]
    for who in ("in_a_raters_seat", "rater_ceiling"):
        expected += list(figures.humans[who]["per_class"].values())
    # A class that no majority of raters chose has no bar.
    measured = np.array([np.nan if rate is None else rate for rate in expected])
    assert np.isnan(measured).any()
    assert heights == pytest.approx(measured, nan_ok=True)
    assert len(draw.per_class_bars(_evaluation(votes=False).figures).axes[0].patches) == 7


def test_histories_and_sheets_without_content_are_refused() -> None:
    with pytest.raises(DataError, match="no accuracy in the history"):
        draw.accuracy_curves({"run": [{"epoch": 1}]})
    with pytest.raises(DataError, match="no validation_accuracy"):
        draw.comparison_curves({})
    with pytest.raises(DataError, match="expected as many"):
        draw.saliency_sheet(np.zeros((2, 4, 4)), np.zeros((2, 4, 4)), ["one"])


def test_every_emotion_has_a_colour_of_its_own() -> None:
    assert set(EMOTION_COLOURS) == set(EMOTIONS)
    assert len(set(EMOTION_COLOURS.values())) == len(EMOTIONS)
