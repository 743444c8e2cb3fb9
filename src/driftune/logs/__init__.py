"""Logs: fetching the day, staging it under canonical columns, the lake, point-in-time features."""
