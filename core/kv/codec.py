"""Records to bytes and back. JSON, so that a person with etcdctl can read every record."""

import msgspec

from core.model import AnyRecord, DeadRecord, Garbage, Marker, Outcome, SchedulerRecord, TaskRecord, WorkerRecord

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Marker | TaskRecord | Outcome | WorkerRecord | SchedulerRecord | DeadRecord)

encode = _encoder.encode


def decode(raw: bytes) -> AnyRecord:
    """The record in `raw`, or `Garbage` saying why it is none. Foreign bytes must never stop a scheduler."""
    try:
        record: AnyRecord = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Garbage(f"{error} ({len(raw)} bytes)")
    return record
