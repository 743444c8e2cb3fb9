"""Data quality: rules, the Great Expectations checkpoint, quarantine, the verdict of a day."""
