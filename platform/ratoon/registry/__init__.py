"""Artifacts by digest: a name is the SHA-256 of its bytes, so nothing is ever edited in place."""
