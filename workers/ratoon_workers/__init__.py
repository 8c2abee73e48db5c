"""Celery workers of Ratoon: they claim work in the ledger and supervise the process that does it.

Nothing here imports polars or xgboost: a process that used them must not fork, and a worker must start fast.
"""
