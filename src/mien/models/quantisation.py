"""An exported network in whole numbers: weights and activations of 8 bits, calibrated on training faces.

Source: Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference, 2 and 3; ONNX Runtime's static quantisation writes it as pairs of QuantizeLinear and
DequantizeLinear, which every runtime understands and fuses where it has kernels for whole numbers.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError

UInt8 = NDArray[np.uint8]

FACES = 512
"""How many training faces calibrate: their activations' least and greatest values become a scale's ends."""

_BATCH = 64

_QUANTISED = (
    "Conv", "Gemm", "MatMul", "Add", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Sigmoid",
    "Mul", "HardSigmoid", "Concat",
)  # fmt: skip
"""Operations that are computed in whole numbers where they stand between the first convolution and the last
layer. Others stay in 32 bits, with a conversion before and after."""


def calibration_faces(images: UInt8, seed: int = 0) -> UInt8:
    """`FACES` of the training faces, drawn without repeats; all where there are fewer.

    Shape: (N, S, S) uint8 → (min(N, FACES), S, S).
    """
    rng = np.random.default_rng(seed)
    return images[np.sort(rng.choice(len(images), min(len(images), FACES), replace=False))]


def quantise(source: Path, target: Path, faces: UInt8) -> Any:
    """The network of an exported float file in whole numbers, as an ONNX model without metadata.

    Weights are signed and have a scale for each output channel; activations are unsigned, so that what a ReLU
    cuts off costs no number. Weights use 7 of their 8 bits: processors without VNNI add two products in 16
    bits, which 8 would overflow, and a file shall answer alike everywhere. The input's normalisation, the
    last layer and the softmax stay in 32 bits, the file's inputs and outputs are the float file's.

    faces: (N, S, S) uint8 training faces to calibrate on. target: written, for ONNX Runtime works on files.
    Raises: ModelError when the network has no convolution, or there is no face.
    """
    from onnxruntime import quantization

    if not len(faces):
        raise ModelError("no faces to calibrate on: expected some of the training split")
    with tempfile.TemporaryDirectory() as folder:
        folded = Path(folder) / "folded.onnx"
        model = _folded(source, folded)
        log, level = logging.getLogger(), logging.getLogger().level
        log.setLevel(logging.ERROR)  # It is told to preprocess what was just folded.
        try:
            quantization.quantize_static(
                folded,
                target,
                _reader(faces),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=list(_QUANTISED),
                nodes_to_exclude=kept_in_float(model.graph),
                per_channel=True,
                reduce_range=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                calibrate_method=quantization.CalibrationMethod.MinMax,
            )
        finally:
            log.setLevel(level)
    return _tidied(target, model)


def kept_in_float(graph: Any) -> list[str]:
    """Names of the nodes before the first convolution, and from the last layer with weights on.

    Raises: ModelError when there is no convolution.
    """
    names = [node.name for node in graph.node]
    kinds = [node.op_type for node in graph.node]
    if "Conv" not in kinds:
        raise ModelError("a network without a convolution: expected one that looks at pictures")
    last = max(place for place, kind in enumerate(kinds) if kind in ("Gemm", "MatMul", "Conv"))
    return [*names[: kinds.index("Conv")], *names[last:]]


def _folded(source: Path, target: Path) -> Any:
    """Writes the network with its batch normalisations folded into the convolutions before them."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Further levels would fuse what only this machine's kernels understand.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    model = onnx.load(target)
    for number, node in enumerate(model.graph.node):
        node.name = f"{number}.{node.op_type}"
    onnx.save(model, target)
    return model


def _reader(faces: UInt8) -> Any:
    """The faces in batches, as ONNX Runtime asks for them."""
    from onnxruntime.quantization import CalibrationDataReader

    def batches() -> Iterator[dict[str, Any]]:
        for start in range(0, len(faces), _BATCH):
            yield {"pixels": faces[start : start + _BATCH, None].astype(np.float32)}

    class Faces(CalibrationDataReader):
        """What is shown, until there is no more."""

        def __init__(self) -> None:
            self.left = batches()

        def get_next(self) -> dict[str, Any] | None:
            """The next batch; None at the end."""
            return next(self.left, None)

    return Faces()


def _tidied(path: Path, float_model: Any) -> Any:
    """The quantised network without what ONNX Runtime notes of itself, outputs in the float one's order."""
    import onnx

    model = onnx.load(path)
    used = {node.domain for node in model.graph.node}
    kept = [each for each in model.opset_import if each.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    del model.metadata_props[:]
    del model.graph.value_info[:]
    names = [each.name for each in float_model.graph.output]
    outputs = sorted(model.graph.output, key=lambda each: names.index(each.name))
    if [each.name for each in outputs] != names:
        raise ModelError(f"quantisation gave the outputs {[each.name for each in outputs]}: expected {names}")
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    model.producer_name, model.producer_version, model.doc_string = "mien", "", ""
    return model
