"""Prefect tasks: retries, timeouts, artifacts and events around one call each into driftune."""

from tasks.stored import guard_states

guard_states()
