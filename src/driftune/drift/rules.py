"""Rules of a drift decision that others than the policy ask for by name."""

NO_HISTORY = "nothing to judge by"
FOLLOW_UP = "follow-up"
AGE = "age"
WAITS = "a challenger waits"
