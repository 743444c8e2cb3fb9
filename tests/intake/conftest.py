"""Worlds whose newest day has rows in quarantine, as the tests of quality have them."""

from tests.quality.conftest import _copied, copied

__all__ = ["_copied", "copied"]
