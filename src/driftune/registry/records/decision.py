"""A decision of the ledger, typed; its JSON columns are parsed when they are first asked for."""

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Required, TypedDict, TypeGuard

import sqlalchemy as sa
from pydantic import JsonValue

from driftune.errors import LedgerError
from driftune.registry.records.base import Document
from driftune.registry.records.gate import GateReport
from driftune.registry.records.scores import Scores
from driftune.registry.records.states import State
from driftune.registry.records.training import TrainingFigures
from driftune.registry.schema import RULE_LENGTH, decisions

DOCUMENTS = ("scores", "gate", "training")


class DecisionEnd(TypedDict, total=False):
    """What may be written of a decision when a claim ends."""

    gate: GateReport | None
    training: TrainingFigures | None
    adapter_version: int | None
    note: str | None


class NewDecision(DecisionEnd, total=False):
    """What is written of a decision when it is made; see ``Decision``."""

    id: Required[str]
    domain: Required[str]
    domain_key: Required[str]
    day: Required[str]
    revision: Required[int]
    backbone: Required[str]
    state: Required[str]
    score: Required[float | None]
    scores: Required[Scores]
    sentence: Required[str]
    data_version: Required[str]
    champion_version: Required[int]
    owner: str | None
    lease_until: float | None
    attempts: int
    decided_at: float
    updated_at: float


@dataclass(frozen=True)
class Decision:
    """One decision about a domain's day (ISO); times are seconds since 1970.

    ``score``: the strongest evidence of drift, 1 is what triggers. ``champion_version`` served on
    the day; ``adapter_version`` came of the decision. ``stale`` says which day that it used was
    delivered anew since. The documents are kept as text: a list of thousands parses none, and a
    damaged one is an error only for who asks for it.
    """

    id: str
    domain: str
    domain_key: str
    day: str
    revision: int
    backbone: str
    state: State | str
    score: float | None
    sentence: str
    data_version: str
    champion_version: int
    owner: str | None
    lease_until: float | None
    attempts: int
    adapter_version: int | None
    note: str | None
    stale: str | None
    decided_at: float
    updated_at: float
    scores_text: str | None = field(repr=False)
    gate_text: str | None = field(repr=False)
    training_text: str | None = field(repr=False)

    @cached_property
    def scores(self) -> Scores:
        """What the drift detection measured; empty where it measured nothing.

        Raises:
            LedgerError: when the ledger's text is damaged.
        """
        return Scores.parse(self.scores_text, self.id) if _holds(self.scores_text) else Scores()

    @cached_property
    def gate(self) -> GateReport | None:
        """The gate's report; None where no challenger was judged.

        Raises:
            LedgerError: when the ledger's text is damaged.
        """
        return GateReport.parse(self.gate_text, self.id) if _holds(self.gate_text) else None

    @cached_property
    def training(self) -> TrainingFigures | None:
        """The training figures; None where no challenger was trained.

        Raises:
            LedgerError: when the ledger's text is damaged.
        """
        text = self.training_text
        return TrainingFigures.parse(text, self.id) if _holds(text) else None

    @property
    def judged(self) -> bool:
        """Whether a challenger was judged; parses nothing."""
        return _holds(self.gate_text)

    def readable(self) -> "Decision":
        """The decision without documents that are damaged, of which its note tells then."""
        wrong: dict[str, str] = {}
        for name in DOCUMENTS:
            try:
                getattr(self, name)
            except LedgerError as error:
                wrong[name] = str(error)
        if not wrong:
            return self
        return replace(
            self,
            scores_text=None if "scores" in wrong else self.scores_text,
            gate_text=None if "gate" in wrong else self.gate_text,
            training_text=None if "training" in wrong else self.training_text,
            note="; ".join([*([self.note] if self.note else []), *wrong.values()]),
        )

    @classmethod
    def of_row(cls, row: sa.Row[tuple[str | int | float | None, ...]]) -> "Decision":
        """As ``of``, several times as fast; of several, the first columns are the decision's."""
        values = list(row[:WIDTH])
        values[_STATE] = State.read(values[_STATE])
        return cls(*values)

    @classmethod
    def of(cls, row: sa.RowMapping) -> "Decision":
        """The decision of a row of ``decision_query``."""
        return cls(**{**row, "state": State.read(row["state"])})


def decision_query(*, documents: bool = True) -> sa.Select[tuple[str | int | float | None, ...]]:
    """Selects what ``Decision.of`` takes: the documents as text; without ``documents`` none."""
    held = [sa.cast(decisions.c[name], sa.Text) if documents else sa.null() for name in DOCUMENTS]
    texts = [text.label(f"{name}_text") for name, text in zip(DOCUMENTS, held, strict=True)]
    found = {each.name: each for each in decisions.c} | {text.name: text for text in texts}
    return sa.select(*(found[name] for name in _NAMES))


_NAMES = tuple(each.name for each in fields(Decision))
WIDTH, _STATE = len(_NAMES), _NAMES.index("state")


def written(values: DecisionEnd) -> dict[str, JsonValue]:
    """Values of columns as the database takes them: documents as their JSON."""
    columns: dict[str, JsonValue] = {}
    for name, value in values.items():
        if isinstance(value, Document):
            columns[name] = value.document()
            if isinstance(value, Scores):
                columns["rule"] = rule_column(value)
        elif value is None or isinstance(value, str | int | float):
            columns[name] = value
        else:
            raise TypeError(f"{name}: {type(value).__name__} is no value of a decision")
    return columns


def rule_column(scores: Scores) -> str:
    """What the column ``rule`` holds of scores."""
    return (scores.rule or "")[:RULE_LENGTH]


def _holds(text: str | None) -> TypeGuard[str]:
    """Whether a column holds a document; JSON's null stands for none."""
    return text is not None and text != "null"
