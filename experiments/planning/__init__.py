"""Planning with the model: the cheapest configuration that meets a target, and what a change to a recorded run does."""
