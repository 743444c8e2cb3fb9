"""Typed records: what a decision of the ledger carries, read and written in one form.

``Decision`` is a row of the ledger; its JSON columns are ``Scores`` (what the drift detection
measured), ``TrainingFigures`` (how the challenger was trained) and ``GateReport`` (how it was
judged). All are frozen.
"""

from driftune.registry.records.decision import Decision
from driftune.registry.records.gate import GateReport
from driftune.registry.records.scores import Scores
from driftune.registry.records.states import State
from driftune.registry.records.training import TrainingFigures

__all__ = ["Decision", "GateReport", "Scores", "State", "TrainingFigures"]
