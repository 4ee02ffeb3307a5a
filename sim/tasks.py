"""The tasks of a run by number: the model looks up what it needs of a task by its id, and keeps the rest in arrays."""

from array import array

from sim.config import Load


class Tasks:
    """`numbers`: id -> position in the load. `service_s`: by number."""

    def __init__(self, load: Load) -> None:
        self.specs = load.specs
        self.numbers = {spec.id: number for number, spec in enumerate(load.specs)}
        self.service_s = array("d", load.service_s)

    def service_of(self, task_id: str) -> float:
        """Seconds that the handler takes; 0 for a task that is not of this load."""
        number = self.numbers.get(task_id)
        return 0.0 if number is None else self.service_s[number]
