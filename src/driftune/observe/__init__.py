"""Observability: structured logs, durations of the day's stations, Prometheus metrics."""
