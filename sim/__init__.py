"""The twin: the machines and procedures of `core` under simulated time, over a model of etcd.

`sim.run.simulate(SimConfig(...))` runs one repetition. How far the model can be believed: `sim/VALIDATION.md`.
"""
