"""Drift-triggered fine-tuning of small adapters for multi-domain recommenders."""
