"""Reactive state machines without I/O: `handle(event, now) -> commands`, `next_deadline() -> seconds`."""
