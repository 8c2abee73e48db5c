"""Fits candidates in a process of its own and judges them; the feature function and the estimator live here.

:mod:`ratoon.training.orders` is what other parts talk to and imports neither polars nor xgboost. Everything
else runs in the supervised process (:mod:`ratoon.training.process`) or where batches are scored.
"""
