"""Ships a network: `python tools/ship.py RUN|FILE.onnx NAME` writes weights/NAME.onnx and its card.

A file is one that `mien export` wrote with its card beside it. `python tools/ship.py --measured` puts into
every card what `benchmarks/formats.py` and `benchmarks/fairness.py` measured of that very file.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import onnx

from mien import ledger
from mien.evaluation.fairness import UNKNOWN
from mien.inference.lookup import shipped
from mien.models import Classifier, Embedder
from mien.models.formats import weight_type
from mien.models.onnx_file import METADATA_KEY, open_model
from mien.storage import atomic, packaged, write_json

LICENCE = "MIT for the weights; FER-2013 itself is for research use and is not included"
TRAINING_DATA = {
    Classifier.kind: (
        "FER-2013 Training: 28,709 faces 48×48, of which 1,236 are repeats (Goodfellow et al. 2013)"
    ),
    Embedder.kind: (
        "FER-2013 Training without neutral faces and without repeats: 22,606 faces 48×48 (Goodfellow et al. "
        "2013), of which it was told same or different alone"
    ),
}
INTENDED_USE = {
    Classifier.kind: (
        "Reading which of seven shown expressions most raters would name, in frontal or nearly frontal "
        "faces: research, photo collections, interfaces that a person has chosen. Not for inferring what a "
        "person feels, nor for any decision about one."
    ),
    Embedder.kind: (
        "Seeing how shown expressions lie relative to one another, in frontal or nearly frontal faces: "
        "research and teaching. Not for naming expressions, which a classifier does better, nor for "
        "inferring what a person feels, nor for any decision about one."
    ),
}
MEASURED = ("latency", "fairness")
"""What a card takes from measurements of its own file, and of no other."""

FORBIDDEN = (
    "Regulation (EU) 2024/1689 (AI Act), Article 5(1)(f), which applies since 2 February 2025, forbids 'AI "
    "systems to infer emotions of a natural person in the areas of workplace and education institutions, "
    "except where the use of the AI system is intended to be put in place or into the market for medical or "
    "safety reasons'."
)
LEFT_OUT = (
    ", without the faces on mien's list: copies and near copies of PublicTest, pictures of no face, faces "
    "with conflicting labels, repeats"
)
"""What a recipe with `data.drop_leaks` leaves out."""

LIMITS = {
    kind: f"Labels of FER-2013 are noisy: people agree with them less than with each other. {of_this_kind}"
    for kind, of_this_kind in {
        Classifier.kind: (
            "Disgust has few examples and is read badly. Calibration and coverage hold for faces like "
            "FER-2013's alone, and coverage over all emotions together: of disgust and fear it is lower."
        ),
        Embedder.kind: (
            "Angry, disgusted, sad and frightened faces overlap widely on the map; neutral faces have no "
            "place of their own."
        ),
    }.items()
}


def ship(source: Path, name: str) -> Path:
    """Copies a network under a new name, with a card of where it comes from; returns the file.

    source: a finished run's folder, or an exported file beside its card.
    """
    file = source / "model.onnx" if source.is_dir() else source
    model, own = open_model(file)
    own = {**own, "name": name}
    kind = own.get("kind", Classifier.kind)
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(own)})
    payload = model.SerializeToString()
    path = packaged("weights") / f"{name}.onnx"
    card = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    card |= {
        "name": name,
        "file": path.name,
        "bytes": len(payload),
        "sha256": hashlib.sha256(payload).hexdigest(),
        "weights": weight_type(file),
        **{
            key: own[key]
            for key in ("temperature", "calibration", "conformal", "unsure_below", "familiar")
            if key in own
        },
        "training_data": card.get("training_data") or _training_data(source, card, kind),
        **_told(kind),
    }
    card = {key: value for key, value in card.items() if key not in MEASURED}
    with atomic(path) as temporary:
        temporary.write_bytes(payload)
    write_json(path.with_suffix(".json"), {"name": name, **card})
    add_measured(path)
    return path


def _told(kind: str) -> dict[str, object]:
    """What every card of a kind says."""
    return {
        "licence": LICENCE,
        "intended_use": INTENDED_USE[kind],
        "forbidden": FORBIDDEN,
        "limits": LIMITS[kind],
        "unknown": list(UNKNOWN),
    }


def _training_data(source: Path, card: dict[str, Any], kind: str) -> str:
    """What a run was trained on, in words; of an exported file the run that its card names."""
    data = _recipe_as_run(source, card).get("data", {})
    return TRAINING_DATA[kind] + (LEFT_OUT if data.get("drop_leaks") else "")


def _recipe_as_run(source: Path, card: dict[str, Any]) -> dict[str, Any]:
    """From the run's folder, or from the ledger; exits where neither tells how the network was trained."""
    result = source / "result.json"
    runs = [ledger.read(result)] if result.is_file() else ledger.entries()
    for run in runs:
        if all(run[key] == card.get(key) for key in ("recipe", "seed", "budget")):
            as_run: dict[str, Any] = run["recipe_as_run"]
            return as_run
    sys.exit(f"{source}: its run is not in the ledger: put it there first, or name the run's folder")


def add_measured(path: Path) -> None:
    """Puts into a card what all of its kind say, and latency and accuracy by kind of face where they were
    measured of this very file.
    """
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    folder = packaged("results") / "measurements"
    kind = open_model(path)[1].get("kind", Classifier.kind)
    fresh = {key: value for key, value in card.items() if key not in MEASURED} | _told(kind)
    if (speeds := folder / "formats.json").is_file():
        found = json.loads(speeds.read_text(encoding="utf-8"))
        for each in found["files"]:
            if each["sha256"] == card["sha256"]:
                fresh["latency"] = {
                    "processor": found["machine"]["processor"],
                    "date": found["date"],
                    "ms": each["latency"],
                }
    if (groups := folder / f"fairness-{card['name']}.json").is_file():
        found = json.loads(groups.read_text(encoding="utf-8"))
        if found["sha256"] == card["sha256"]:
            fresh |= {"fairness": found["by"], "unknown": found["unknown"]}
    write_json(path.with_suffix(".json"), fresh)


def main() -> None:
    """Ships what is named, or brings every card up to what was measured."""
    if sys.argv[1:] == ["--measured"]:
        for name in shipped():
            add_measured(packaged("weights") / f"{name}.onnx")
    elif len(sys.argv) == 3:
        print(ship(Path(sys.argv[1]), sys.argv[2]))
    else:
        sys.exit("usage: python tools/ship.py RUN|FILE.onnx NAME, or --measured")


if __name__ == "__main__":
    main()
