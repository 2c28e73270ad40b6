"""Experiments: recipes become runs, runs become ledger entries, entries stand beside a paper's tables."""
