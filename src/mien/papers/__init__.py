"""The papers' tables and figures beside ours, made from recipes and the ledger."""
