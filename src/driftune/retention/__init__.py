"""Retention: what is dropped with age, and users whose rows are erased from everything."""
