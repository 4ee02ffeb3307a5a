"""Measures the model's parameters (`sim.parameters`) on this machine; `experiments.calibrate` puts them together."""
