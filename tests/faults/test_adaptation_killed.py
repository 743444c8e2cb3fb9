"""Kill -9 inside fine-tuning, gate, promotion and rollback: nothing twice, nothing by halves."""

from pathlib import Path

import pytest

from tests.faults.cases import Undisturbed, drill, parameters
from tests.faults.conftest import Children, Start
from tests.faults.table import ADAPTATION, ROLLBACK, Kill


@pytest.mark.parametrize("case", parameters(ADAPTATION + ROLLBACK))
@pytest.mark.slow
@pytest.mark.ci
def test_an_adaptation_or_rollback_that_is_killed(
    case: Kill, start: Start, children: Children, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    drill(case, start, children, undisturbed, tmp_path)
