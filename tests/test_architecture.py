"""The tree tells the truth: imports run one way, and reading a photograph drags in no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mien

PACKAGE = Path(mien.__file__).parent

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "labels", "faces", "landmarks", "landmark_layout", "storage", "__init__"}),
    frozenset({"data", "transforms", "evaluation", "rendering", "fetching"}),
    frozenset({"models", "losses", "inference", "ledger"}),
    frozenset({"training", "explain", "report"}),
    frozenset({"experiments", "bench"}),
    frozenset({"papers"}),
    frozenset({"cli", "__main__"}),
)
"""Rooms from the foundation up; a room imports from its own layer or those before it."""

FRAMEWORK_FREE = (
    "errors", "labels", "faces", "landmarks", "landmark_layout", "storage", "data", "evaluation", "rendering",
    "inference", "ledger", "fetching",
)  # fmt: skip


def rooms() -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        found.setdefault(relative.parts[0].removesuffix(".py"), []).append(path)
    return found


def imported(path: Path) -> set[str]:
    """Dotted names of every import in a file, wherever it stands but under TYPE_CHECKING."""
    names: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return names


def layer_of(room: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if room in layer)


def test_every_room_has_its_place() -> None:
    known = set().union(*LAYERS)
    assert {room for room in rooms() if room != "weights"} <= known


@pytest.mark.parametrize("room", [room for room in rooms() if room not in {"__init__", "weights"}])
def test_imports_run_one_way(room: str) -> None:
    for path in rooms()[room]:
        for name in imported(path):
            parts = name.split(".")
            if parts[0] != "mien" or len(parts) < 2 or parts[1] not in set().union(*LAYERS):
                continue
            assert layer_of(parts[1]) <= layer_of(room), f"{path.relative_to(PACKAGE)} imports {name}"


@pytest.mark.parametrize("room", FRAMEWORK_FREE)
def test_no_torch_outside_training(room: str) -> None:
    for path in rooms()[room]:
        heavy = {name for name in imported(path) if name.split(".")[0] in {"torch", "lightning_fabric"}}
        assert not heavy, f"{path.relative_to(PACKAGE)} imports {heavy}"


@pytest.mark.parametrize(
    "statement", ["import mien", "import mien; mien.predict", "import mien.evaluation.figures"]
)
def test_imports_no_framework(statement: str) -> None:
    heavy = ("torch", "scipy", "matplotlib")
    code = f"import sys; {statement}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_import_mien_is_instant() -> None:
    code = "import sys, mien; print([m for m in ('numpy', 'cv2', 'onnxruntime') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
