"""Bring up what scheduled flows need, on this machine, for a first look."""
