"""Lists of delivered rows whose elements become rows (``source.explode``)."""
