"""Metrics, intervals, calibration, agreement with people and test protocols: numpy in, numbers out."""

from __future__ import annotations

from mien.evaluation.calibration import cross_fitted_ece, fit_temperature
from mien.evaluation.evaluate import Evaluation, Figures, evaluate, measure
from mien.evaluation.protocols import Scores

__all__ = ["Evaluation", "Figures", "Scores", "cross_fitted_ece", "evaluate", "fit_temperature", "measure"]
