"""``dispatcher up --demo``: organizations, their webhooks, a stream of events, and targets of every kind."""
