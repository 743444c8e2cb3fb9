"""The lake: source files read by role, the Delta table of accepted rows, and where it lies."""
