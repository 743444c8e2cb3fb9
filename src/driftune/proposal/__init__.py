"""A params.yaml proposed from files of logs: what each column looks like, and what it may mean."""
