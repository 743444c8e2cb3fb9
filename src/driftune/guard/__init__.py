"""After promotion: champions checked on each later day's labels, and taken back when worse."""
