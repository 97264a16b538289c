"""Outgoing messages: events on the bus, and dead letters."""
