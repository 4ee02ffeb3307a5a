"""Tandem: a distributed task scheduler on etcd, whose decision code also runs in a SimPy model."""
