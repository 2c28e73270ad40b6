"""Tasks: a network and its criterion wrapped so that one loop serves all. One file a task, found by name."""

from mien.training.tasks.registry import TaskKind, task_kind, task_kinds

__all__ = ["TaskKind", "task_kind", "task_kinds"]
