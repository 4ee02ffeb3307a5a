"""Experiments: one scenario file drives the real system and its twin; both write the same run directories."""
