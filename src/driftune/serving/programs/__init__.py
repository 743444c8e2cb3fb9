"""Programs: the model of a bundle with its adapters, in formats that need no Driftune to run."""
