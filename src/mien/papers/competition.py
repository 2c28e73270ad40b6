"""What others reached in FER-2013's competition, as the papers print it beside their own results."""

from __future__ import annotations

OTHERS: dict[str, dict[str, dict[str, float]]] = {
    "A/VIII": {
        "SIFT+MKL (Radu + Marius + Cristi)": {"public": 0.673, "private": 0.675},
        "CNN (Maxim Milakov)": {"public": 0.682, "private": 0.688},
        "CNN (team Unsupervised)": {"public": 0.691, "private": 0.693},
        "CNN+SVM loss (team RBM)": {"public": 0.694, "private": 0.712},
    },
    "B/3.1": {
        "Yichuan Tang": {"public": 0.69768, "private": 0.71161},
        "Yingbo Zhou, Chetan Ramaiah": {"public": 0.69072, "private": 0.69267},
        "Maxim Milakov": {"public": 0.68152, "private": 0.68821},
        "Radu Ionescu, Marius Popescu, Cristian Grozea": {"public": 0.67316, "private": 0.67483},
    },
}
"""Accuracy in 0…1 by table, row and split: system A's Table VIII, system B's Table 3.1."""
