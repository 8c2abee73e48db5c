"""Judges a candidate against champion and baseline on rows that none of them has seen."""
