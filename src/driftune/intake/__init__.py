"""Intake: a day fetched, staged, validated and committed; releases and missed days."""
