"""Ledger of decisions, adapter versions and the champion pointer."""
