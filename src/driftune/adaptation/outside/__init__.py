"""Training jobs of the user's own, in the place of the built-in fine-tuning."""
