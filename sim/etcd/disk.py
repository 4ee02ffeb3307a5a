"""One wait for the disk."""

from sim.parameters import Values
from sim.streams import Stream


def fsync_s(values: Values, items: int, size_bytes: int, residuals: Stream) -> float:
    """Seconds until a batch of so many operations, with so many bytes of payload, is durable."""
    seconds = values.etcd_fsync_s + values.etcd_fsync_item_s * items + values.etcd_fsync_byte_s * size_bytes
    if values.etcd_fsync_residuals:
        seconds *= residuals.quantile(values.etcd_fsync_residuals)
    return seconds
