"""Prefect tasks: retries, timeouts, artifacts and events around one call each into driftune."""
