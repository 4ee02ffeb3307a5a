"""One wait for the disk."""

from sim.etcd.entry import Batch
from sim.parameters import Values
from sim.streams import Stream


def fsync_s(values: Values, batch: Batch, residuals: Stream) -> float:
    """Seconds until a batch is durable."""
    seconds = values.etcd_fsync_s + values.etcd_fsync_item_s * batch.items
    seconds += values.etcd_fsync_byte_s * batch.size_bytes
    if values.etcd_fsync_residuals:
        seconds *= residuals.quantile(values.etcd_fsync_residuals)
    return seconds
