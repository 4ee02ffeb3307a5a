"""The connection to etcd: where it is, and how grpc is to treat it."""

import ipaddress
import re
import socket
from collections.abc import Sequence
from typing import NamedTuple

import grpc

KEEPALIVE_INTERVAL_MS = 6_000
"""How often an otherwise silent connection in use is probed. etcd cuts off clients that probe more often than every
5 s; without probes a partition was noticed 13 s late."""

KEEPALIVE_TIMEOUT_MS = 2_000
RECONNECT_BACKOFF_MAX_MS = 500
"""A component must be back well within its lease TTL (2 s or more) after etcd returns."""

CONNECT_TIMEOUT_MS = 1_000
"""How long an attempt to connect may take (grpc's name for it says otherwise: who is refused tries again after the
backoff above). 100 ms kept a client out on a busy machine. The price: after a partition it is back after 0.5 s on
average, with 100 ms after 0.3 s (five partitions each)."""

RECEIVE_LIMIT_BYTES = 64 * 1024 * 1024
DEFAULT_PORT = 2379

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")


class Endpoint(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoints(text: str) -> tuple[Endpoint, ...]:
    """'host:port,host:port' as endpoints. `http://` may stand before a host, and the port may be left out (2379).

    Raises ValueError with a sentence for the user.
    """
    endpoints = [_parse_endpoint(part.strip()) for part in text.split(",") if part.strip()]
    if not endpoints:
        raise ValueError("no etcd endpoint given: write host:port, or several separated by commas")
    return tuple(dict.fromkeys(endpoints))


def _parse_endpoint(text: str) -> Endpoint:
    if text.startswith("https://"):
        raise ValueError(f"etcd endpoint {text!r}: connections with TLS are not supported")
    rest = text.removeprefix("http://").removesuffix("/")
    match = re.fullmatch(r"(\[(?P<ipv6>[^\]]*)\]|(?P<name>[^:\[\]]*))(:(?P<port>[^:]*))?", rest)
    if not match:
        raise ValueError(f"etcd endpoint {text!r} is not host:port (an IPv6 address stands in brackets: [::1]:2379)")
    host = match["name"] or match["ipv6"] or ""
    valid = _is_address(host, 6) if match["ipv6"] else (_NAME.fullmatch(host) and ".." not in host)
    if not valid:
        raise ValueError(f"etcd endpoint {text!r}: {host!r} is not a host name or address")
    port = match["port"] if match["port"] is not None else str(DEFAULT_PORT)
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        raise ValueError(f"etcd endpoint {text!r}: {port!r} is not a port from 1 to 65535")
    return Endpoint(host, int(port))


def open_channel(endpoints: Sequence[Endpoint]) -> grpc.Channel:
    """A channel that spreads calls over those endpoints that answer. Connects in the background."""
    options = [
        ("grpc.keepalive_time_ms", KEEPALIVE_INTERVAL_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 0),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", CONNECT_TIMEOUT_MS),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_BACKOFF_MAX_MS),
        ("grpc.max_receive_message_length", RECEIVE_LIMIT_BYTES),
        ("grpc.max_send_message_length", -1),  # etcd sets the limit, and says so
        ("grpc.lb_policy_name", "round_robin"),
        ("grpc.enable_http_proxy", 0),  # a proxy for the web is not the way to etcd
        ("grpc.use_local_subchannel_pool", 1),  # two channels of one process share no backoff
    ]
    return grpc.insecure_channel(target(endpoints), options=options)


def target(endpoints: Sequence[Endpoint]) -> str:
    """The grpc name of these endpoints.

    One name is left to grpc, which looks it up again when the connection is lost. grpc takes several only as
    addresses, so several names are looked up here; those that do not resolve now are left out. When none does, the
    first is left to grpc, whose error says so.
    """
    if len(endpoints) == 1 and not _is_address(endpoints[0].host):
        return f"dns:///{endpoints[0]}"
    addresses = list(dict.fromkeys(address for endpoint in endpoints for address in _resolve(endpoint)))
    if not addresses:
        return f"dns:///{endpoints[0]}"
    if all(_is_address(address.host, 4) for address in addresses):
        return "ipv4:" + ",".join(map(str, addresses))
    # grpc takes one family only; an IPv4 address has an IPv6 form.
    return "ipv6:" + ",".join(
        str(a if _is_address(a.host, 6) else Endpoint(f"::ffff:{a.host}", a.port)) for a in addresses
    )


def _resolve(endpoint: Endpoint) -> list[Endpoint]:
    if _is_address(endpoint.host):
        return [endpoint]
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [Endpoint(str(address[0]), endpoint.port) for *_, address in found]


def _is_address(host: str, version: int | None = None) -> bool:
    try:
        return ipaddress.ip_address(host).version == version or version is None
    except ValueError:
        return False
