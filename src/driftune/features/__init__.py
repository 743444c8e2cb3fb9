"""Features: the encoder, point-in-time counters, and encoded days."""
