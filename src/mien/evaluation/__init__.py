"""Metrics, intervals, calibration, agreement with people and test protocols: numpy in, numbers out."""
