"""The corpus: delivered files, each with an oddity in one place, and what must come out of it."""

from datetime import date

from tests.corpus.files import file_cases
from tests.corpus.values import (
    domain_cases,
    label_cases,
    null_cases,
    number_cases,
    text_cases,
    typed_cases,
)
from tests.corpus.written import Case


def cases(day: date) -> list[Case]:
    """All of them."""
    made = (
        text_cases,
        domain_cases,
        number_cases,
        null_cases,
        typed_cases,
        label_cases,
        file_cases,
    )
    return [case for make in made for case in make(day)]
