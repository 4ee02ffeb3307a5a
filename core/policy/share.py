"""Who owns what among equal schedulers: rendezvous (highest random weight) hashing.

Every scheduler computes the same owner from the live `scheduler/` keys alone. When one comes or goes, only its own
share moves. Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998.
"""

import zlib
from collections.abc import Sequence
from functools import lru_cache

_MASK = 0xFFFFFFFF
_REMEMBERED = 1 << 14
"""Every scheduler asks for the owner of a task two or three times within some milliseconds."""


def owner(item: str, members: Sequence[str]) -> str | None:
    """The member that owns `item`; ties go to the larger name; None where there are no members."""
    if len(members) <= 1:
        return members[0] if members else None
    return _heaviest(item, tuple(members))


@lru_cache(_REMEMBERED)
def _heaviest(item: str, members: tuple[str, ...]) -> str:
    base = zlib.crc32(item.encode(errors="surrogateescape"))
    best, most = "", -1
    for member, seed in zip(members, _seeds(members), strict=True):
        # Murmur3's 32-bit finaliser: CRC-32 alone is linear, so two schedulers' weights would be correlated.
        weight = base ^ seed
        weight ^= weight >> 16
        weight = weight * 0x85EBCA6B & _MASK
        weight ^= weight >> 13
        weight = weight * 0xC2B2AE35 & _MASK
        weight ^= weight >> 16
        if weight > most or (weight == most and member > best):
            best, most = member, weight
    return best


@lru_cache(16)
def _seeds(members: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(zlib.crc32(member.encode()) for member in members)


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
