"""Kill -9 at every boundary of the day's run: done again, all is as if nothing had happened."""

from pathlib import Path

import pytest

from tests.faults.cases import Undisturbed, drill, parameters
from tests.faults.conftest import Children, Start
from tests.faults.table import DAY, DRIFT, Kill


@pytest.mark.parametrize("case", parameters(DAY + DRIFT))
@pytest.mark.slow
@pytest.mark.ci
def test_a_day_that_is_killed(
    case: Kill, start: Start, children: Children, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    drill(case, start, children, undisturbed, tmp_path)
