"""Evaluation: metrics, the paired bootstrap and the gate between champion and challenger."""
