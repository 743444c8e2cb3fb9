"""Messages to people: queued with what happened, sent through Apprise when the work is done."""
