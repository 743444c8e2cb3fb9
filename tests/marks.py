"""Marks of parameters that are too slow for `make test` where another one shows the same."""

import pytest

# Run by `make test-ci`, see CONTRIBUTING.md.
CI = (pytest.mark.slow, pytest.mark.ci)
