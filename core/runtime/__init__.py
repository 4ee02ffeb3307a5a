"""Threads, clocks, executors and signals: what drives machines and procedures against a real etcd."""
