"""Metrics, intervals, calibration, agreement with people and test protocols: numpy in, numbers out."""

from __future__ import annotations

from mien.evaluation.calibration import cross_fitted_ece, fit_temperature
from mien.evaluation.evaluate import Evaluation, Figures, evaluate

__all__ = ["Evaluation", "Figures", "cross_fitted_ece", "evaluate", "fit_temperature"]
