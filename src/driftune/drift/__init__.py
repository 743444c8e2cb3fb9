"""Drift: windows per domain, Evidently distances, and the decision by thresholds."""
