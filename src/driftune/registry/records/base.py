"""The base of all records, and the types of their fields.

Reading is tolerant and writing is strict. A key that this release does not know is kept as it is
(``extra="allow"``): a challenger that waits is judged again and its report written again, perhaps
by an older release than the one that began it, and nothing may be lost on the way. A key that is
missing has a default, so that ledgers of earlier releases are read; what was not set is not
written, so that a document has the keys that it always had.
"""

import math
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from driftune.errors import LedgerError
from driftune.io import finite

# The form in which documents are written. Raised when a key changes its meaning; a new key needs
# no new number. A document without a number has the form of the releases before numbers, which
# was the same but for the number.
VERSION = 1


class Record(BaseModel):
    """A part of what a decision carries."""

    # ``defer_build``: a command that reads no record does not build validators.
    model_config = ConfigDict(
        frozen=True, extra="allow", validate_by_name=True, validate_by_alias=True, defer_build=True
    )


class Document(Record):
    """A whole JSON column of a decision. ``version`` 0 is the form before numbers."""

    NAME: ClassVar[str] = "document"

    version: int = 0

    @classmethod
    def parse(cls, text: str, decision_id: str) -> Self:
        """Read the JSON text of a column.

        Raises:
            LedgerError: when it is damaged.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the whole of it"
            raise LedgerError(
                f"decision '{decision_id}': its {cls.NAME} cannot be read ({place}: "
                f"{first['msg']}); put a backup of the ledger back"
            ) from None

    def document(self) -> dict[str, JsonValue]:
        """The JSON-safe values to write: what was set, what was read and not known, the version.

        What is not a number is null.
        """
        values = finite(self.model_dump(mode="json", by_alias=True, exclude_unset=True))
        return {**values, "version": max(self.version, VERSION)}


def _absent(value: JsonValue) -> JsonValue:
    """None for a NaN or an infinity: it says that there is no figure."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _listed(value: JsonValue) -> JsonValue | tuple[()]:
    return () if value is None else value


# A number, or None where there is none. The first branch is the fast one.
Figure = Annotated[
    Annotated[float, Field(allow_inf_nan=False)] | Annotated[None, BeforeValidator(_absent)],
    Field(union_mode="left_to_right"),
]
# For tuples that older documents hold as null.
NULL_IS_EMPTY = BeforeValidator(_listed)
