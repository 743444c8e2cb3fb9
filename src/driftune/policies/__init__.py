"""Policies: when to fine-tune, compared over past days."""
