"""Triggers of ``drift.triggers`` that Evidently measures: rows, values, what they come to."""
