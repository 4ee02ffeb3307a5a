"""Conversations with etcd without I/O, as generators.

A procedure yields requests (`core.kv.requests`), is sent the answer to each, and returns the event that its machine
waits for. `Refused` and `Unknown` come in as answers: a procedure repeats the same guarded transaction after `Pause`
until the outcome is definite. `core.procedure.table.start` finds the procedure for a command.
"""
