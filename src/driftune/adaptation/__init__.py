"""One decision from claim to end: split, fine-tune, challenge, look again, conclude."""
