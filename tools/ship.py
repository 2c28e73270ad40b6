"""Ships a finished run: `python tools/ship.py RUN NAME` writes weights/NAME.onnx and its card."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import onnx

from mien.labels import WEIGHT_TYPES
from mien.models import Classifier, Embedder
from mien.models.onnx_file import METADATA_KEY
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
FORBIDDEN = (
    "Regulation (EU) 2024/1689 (AI Act), Article 5(1)(f), forbids inferring emotions of people at work "
    "and in education, but for medical and safety reasons."
)
LIMITS = {
    kind: (
        "Labels of FER-2013 are noisy: people agree with them less than with each other. Age, skin colour "
        f"and glasses were never labelled, so that fairness is unknown. {of_this_kind}"
    )
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


def ship(run: Path, name: str) -> Path:
    """Copies the run's network under a new name, with a card of where it comes from; returns the file."""
    model = onnx.load(run / "model.onnx")
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    own = {**json.loads(metadata[METADATA_KEY]), "name": name}
    kind = own["kind"]
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(own)})
    payload = model.SerializeToString()
    path = packaged("weights") / f"{name}.onnx"
    with atomic(path) as temporary:
        temporary.write_bytes(payload)
    card = json.loads((run / "model.json").read_text(encoding="utf-8"))
    card |= {
        "name": name,
        "file": path.name,
        "bytes": len(payload),
        "sha256": hashlib.sha256(payload).hexdigest(),
        "weights": _weight_type(model),
        **{key: own[key] for key in ("temperature", "unsure_below", "conformal") if key in own},
        "licence": LICENCE,
        "training_data": TRAINING_DATA[kind],
        "intended_use": INTENDED_USE[kind],
        "forbidden": FORBIDDEN,
        "limits": LIMITS[kind],
    }
    write_json(path.with_suffix(".json"), {"name": name, **card})
    return path


def _weight_type(model: onnx.ModelProto) -> str:
    half = any(each.data_type == onnx.TensorProto.FLOAT16 for each in model.graph.initializer)
    return WEIGHT_TYPES[half]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python tools/ship.py RUN NAME")
    print(ship(Path(sys.argv[1]), sys.argv[2]))
