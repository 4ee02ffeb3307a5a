"""Who owns what among equal schedulers: rendezvous (highest random weight) hashing.

Every scheduler computes the same owner from the live `scheduler/` keys alone. When one comes or goes, only its own
share moves. Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998.
"""

import zlib
from collections.abc import Sequence

_MASK = 0xFFFFFFFF


def _mix(value: int) -> int:
    """Murmur3's 32-bit finaliser: CRC-32 alone is linear, so two schedulers' weights would be correlated."""
    value ^= value >> 16
    value = value * 0x85EBCA6B & _MASK
    value ^= value >> 13
    value = value * 0xC2B2AE35 & _MASK
    return value ^ value >> 16


def owner(item: str, members: Sequence[str]) -> str | None:
    """The member that owns `item`; ties go to the smaller name; None where there are no members."""
    if len(members) <= 1:
        return members[0] if members else None
    base = zlib.crc32(item.encode(errors="surrogateescape"))
    return max(members, key=lambda member: (_mix(base ^ zlib.crc32(member.encode())), member))


def credit_share(credit: int, worker: str, members: Sequence[str], me: str) -> int:
    """This scheduler's part of a worker's credit. The parts of all members add up to `credit` exactly.

    The remainder goes to members in an order that turns with the worker, so that no scheduler is favoured by all.
    """
    if len(members) <= 1:
        return credit
    part, rest = divmod(credit, len(members))
    ordered = sorted(members)
    turn = (ordered.index(me) + zlib.crc32(worker.encode())) % len(members)
    return part + (1 if turn < rest else 0)
