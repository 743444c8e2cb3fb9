"""Rules of a drift decision that others than the policy ask for by name."""

from driftune.registry.by_hand import BY_HAND

NO_HISTORY = "nothing to judge by"
FOLLOW_UP = "follow-up"
AGE = "age"
WAITS = "a challenger waits"
NEW_BACKBONE = "new backbone"
# What asks for a fine-tune without evidence of drift.
DUE = (NEW_BACKBONE, FOLLOW_UP, AGE, BY_HAND)
