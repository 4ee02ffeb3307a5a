"""Decisions as pure functions and small data structures: which task next, which worker, how much credit, when again."""
