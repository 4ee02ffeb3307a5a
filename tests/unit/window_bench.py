"""A queue's ready keys, as the window sees them."""

from core.kv import keys
from core.kv.requests import Kv
from core.machine.messages import LoadPage, PageLoaded
from core.model import Marker, TaskSpec

TYPES = ("echo", "cpu", "gpu")
SIZE = 4


def task_id(number: int) -> str:
    return f"{number:032x}"


def scattered(number: int) -> int:
    """Bursts of five with ever larger gaps, so that guesses of where the next ones lie go wrong."""
    return (number // 5) ** 20 + number % 5


def kv(number: int, revision: int, kind: str = "echo", priority: int = 5) -> Kv:
    spec = TaskSpec(task_id(number), kind, priority=priority)
    return Kv(keys.ready("default", priority, spec.id), Marker(spec), revision)


def read(store: dict[str, Kv], revision: int, page: LoadPage) -> PageLoaded:
    """What etcd answers."""
    found = [store[key] for key in sorted(store) if page.after < key and (not page.until or key <= page.until)]
    cut = len(found) > page.limit
    return PageLoaded(page.queue, page.after, tuple(found[: page.limit]), cut, revision, page.until)
