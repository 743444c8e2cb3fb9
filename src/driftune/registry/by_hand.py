"""By hand: a person asks for a fine-tune that drift did not ask for."""

import time

from driftune.errors import RegistryError
from driftune.registry.indexes import OPEN
from driftune.registry.ledger import Ledger
from driftune.registry.newest import age
from driftune.registry.records import Decision, State
from driftune.registry.records.decision import rule_column
from driftune.registry.records.states import word
from driftune.registry.schema import decisions, insert_new, reviews

BY_HAND = "by hand"
"""The rule of a decision that a person asked for."""

# Where drift was measured or too little was known of it, a challenger can still be made and judged.
_ASKABLE = (State.STABLE, State.WATCHED, State.INSUFFICIENT, State.NEW)


def ask(ledger: Ledger, domain: str, who: str, why: str) -> Decision:
    """Let the newest decision of a domain (its name or key) be adapted for; the audit keeps why.

    Raises:
        RegistryError: when no reason is given, the domain has no decision, one of it is open
            already, or its newest day has nothing to fine-tune on.
    """
    if not why.strip():
        raise RegistryError(f"{domain}: the audit keeps why; give --why some text")
    either = (decisions.c.domain == domain) | (decisions.c.domain_key == domain)
    own = sorted(ledger.decisions(either), key=age)
    if not own:
        raise RegistryError(
            f"{domain}: no day of this domain was decided; driftune status lists the domains"
        )
    opened = next((row for row in own if row.state in OPEN), None)
    if opened is not None:
        raise RegistryError(
            f"{domain}: {opened.id} is open already ({word(opened.state)}); a domain is "
            "fine-tuned for one decision at a time"
        )
    newest = own[-1]
    if newest.state not in _ASKABLE:
        raise RegistryError(
            f"{domain}: {newest.day} is '{word(newest.state)}', which leaves nothing to fine-tune "
            "on or was fine-tuned for already; ask again after the next day"
        )
    scores = newest.scores.model_copy(update={"rule": BY_HAND})
    sentence = f"Asked for by {who}: {why.strip()}. {newest.sentence}"
    now = time.time()
    with ledger.write() as connection:
        same = (decisions.c.id == newest.id) & (decisions.c.state == newest.state)
        changed = connection.execute(
            decisions.update()
            .where(same)
            .values(
                state=State.PENDING.value,
                scores=scores.document(),
                rule=rule_column(scores),
                sentence=sentence,
                updated_at=now,
            )
        )
        if not changed.rowcount:
            raise RegistryError(f"{newest.id}: changed meanwhile; see driftune status, ask again")
        entry = {
            "decision_id": newest.id,
            "domain_key": newest.domain_key,
            "verdict": "asked for",
            "who": who,
            "reason": why.strip(),
            "at": now,
        }
        insert_new(connection, reviews, entry)
    return ledger.decision(newest.id)
