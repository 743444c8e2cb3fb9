"""Which tests are left out of `make test`, where others show the same; see CONTRIBUTING.md."""

from collections import defaultdict
from collections.abc import Iterable

import pytest

# Of a parameter or a test: run by `make test-ci`.
CI = (pytest.mark.slow, pytest.mark.ci)


def leave_out(items: Iterable[pytest.Item]) -> None:
    """Mark parameters beyond the ``few(n)`` of their test for `make test-ci`.

    Those that stay lie evenly among the test's parameters, in their order.
    """
    tests = defaultdict(list)
    for item in items:
        few = item.get_closest_marker("few")
        if few is not None and item.get_closest_marker("slow") is None:
            tests[item.location[0], getattr(item, "originalname", item.name)].append(item)
    for parameters in tests.values():
        few = parameters[0].get_closest_marker("few")
        wanted = min(few.args[0], len(parameters)) if few else len(parameters)
        stay = {n * len(parameters) // wanted for n in range(wanted)}
        for number, item in enumerate(parameters):
            if number not in stay:
                for mark in CI:
                    item.add_marker(mark)
