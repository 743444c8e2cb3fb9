"""Training: pre-training of the backbone, fine-tuning of adapters."""
