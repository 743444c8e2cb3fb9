"""Models: the pooled backbone, and the adapters that attach to it."""
