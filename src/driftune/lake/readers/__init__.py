"""Readers: delivered files as relations that keep what was written, row by row accounted for."""
