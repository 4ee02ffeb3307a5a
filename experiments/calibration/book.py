"""Parameters as they are found, each with its source, date and error."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from experiments.calibration import fit
from sim.parameters import Parameter


@dataclass(slots=True)
class Book:
    """The parameters of a profile while it is being measured."""

    when: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"))
    found: dict[str, Parameter] = field(default_factory=dict)

    def put(
        self, name: str, value: float | tuple[float, ...], unit: str, source: str, error: float | None = None
    ) -> None:
        rounded = value if isinstance(value, tuple) else float(f"{value:.4g}")
        self.found[name] = Parameter(rounded, unit, source, self.when, None if error is None else round(error, 3))

    def line(self, base: str, item: str, line: fit.Line, source: str) -> None:
        """`base` + `item` per item."""
        self.put(base, line.a, "s", source, line.error)
        self.put(item, line.b, "s/item", source, line.error)

    def value(self, name: str) -> float:
        """Raises KeyError where it has not been found yet."""
        value = self.found[name].value
        assert isinstance(value, float)
        return value
