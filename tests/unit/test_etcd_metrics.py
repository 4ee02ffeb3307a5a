"""What is made of etcd's /metrics: from text to readings, from two readings to figures."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from experiments import etcd_metrics
from experiments.etcd_metrics import Member, Reading
from experiments.real import RealWorld
from experiments.schema import Burst, Scenario, Workload

TEXT = """\
# HELP etcd_disk_backend_commit_duration_seconds The latency distributions of commit called by backend.
# TYPE etcd_disk_backend_commit_duration_seconds histogram
etcd_disk_backend_commit_duration_seconds_bucket{le="0.001"} 3
etcd_disk_backend_commit_duration_seconds_bucket{le="+Inf"} 8
etcd_disk_backend_commit_duration_seconds_sum 0.024
etcd_disk_backend_commit_duration_seconds_count 8
# TYPE etcd_disk_wal_fsync_duration_seconds histogram
etcd_disk_wal_fsync_duration_seconds_bucket{le="0.001"} 19
etcd_disk_wal_fsync_duration_seconds_sum 0.03
etcd_disk_wal_fsync_duration_seconds_count 20
# TYPE etcd_mvcc_db_total_size_in_bytes gauge
etcd_mvcc_db_total_size_in_bytes 2.5e+06
# TYPE etcd_network_client_grpc_received_bytes_total counter
etcd_network_client_grpc_received_bytes_total 1000
# TYPE etcd_network_client_grpc_sent_bytes_total counter
etcd_network_client_grpc_sent_bytes_total 2000
# TYPE etcd_server_proposals_committed_total gauge
etcd_server_proposals_committed_total 40
# TYPE grpc_server_handled_total counter
grpc_server_handled_total{grpc_code="OK",grpc_method="Txn",grpc_service="etcdserverpb.KV",grpc_type="unary"} 7
grpc_server_handled_total{grpc_code="Unavailable",grpc_method="Txn",grpc_service="etcdserverpb.KV",grpc_type="unary"} 1
grpc_server_handled_total{grpc_code="OK",grpc_method="LeaseGrant",grpc_service="etcdserverpb.Lease",grpc_type="unary"} 2
grpc_server_handled_total{grpc_code="OK",grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="stream"} 99
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.7e+09
"""
BEFORE = etcd_metrics.parse(TEXT)
AFTER = Reading(
    started_at=BEFORE.started_at,
    proposals=140.0,
    received_bytes=51_000.0,
    sent_bytes=102_000.0,
    requests=60.0,
    fsyncs=70.0,
    fsync_s=0.13,
    commits=18.0,
    commit_s=0.074,
    db_bytes=4e6,
)


def test_a_page_of_etcd_becomes_a_reading() -> None:
    expected = Reading(
        started_at=1.7e9,
        proposals=40.0,
        received_bytes=1000.0,
        sent_bytes=2000.0,
        requests=10.0,  # not the stream
        fsyncs=20.0,
        fsync_s=0.03,
        commits=8.0,
        commit_s=0.024,
        db_bytes=2.5e6,
    )
    assert expected == BEFORE


@pytest.mark.parametrize("text", ["", "<html>hello</html>", TEXT.replace("wal_fsync", "wal_sync"), TEXT + 'a{b="'])
def test_what_is_not_etcds_is_refused_unless_it_does_not_matter(text: str) -> None:
    if text.startswith(TEXT):
        assert etcd_metrics.parse(text) == BEFORE
    else:
        with pytest.raises(ValueError, match="not etcd's metrics"):
            etcd_metrics.parse(text)


def test_figures_are_what_lies_between_two_readings() -> None:
    figures = etcd_metrics.figures([Member("etcd-1", BEFORE, AFTER)], 50)
    assert figures == pytest.approx(
        {
            "proposals_per_task": 2.0,
            "requests_per_task": 1.0,
            "bytes_in_per_task": 1000.0,
            "bytes_out_per_task": 2000.0,
            "fsyncs_per_task": 1.0,
            "fsync_mean_s": 0.002,
            "commit_mean_s": 0.005,
            "db_size_mb": 4.0,
        }
    )


def test_members_share_the_clients_and_each_logs_everything() -> None:
    leader, follower = (
        Member("etcd-1", BEFORE, AFTER),
        Member("etcd-2", BEFORE, msgspec.structs.replace(AFTER, fsyncs=60.0)),
    )
    figures = etcd_metrics.figures([leader, follower], 50)
    assert figures["proposals_per_task"] == 2.0
    assert figures["fsyncs_per_task"] == 1.0
    assert figures["bytes_in_per_task"] == 2000.0
    assert figures["fsync_mean_s"] == pytest.approx(0.2 / 90)


def test_a_restart_hides_what_was_before_it() -> None:
    again = msgspec.structs.replace(AFTER, started_at=BEFORE.started_at + 5, proposals=3.0)
    alone = etcd_metrics.figures([Member("etcd-1", BEFORE, again)], 50)
    assert {name for name, value in alone.items() if value is not None} == {"db_size_mb"}
    beside = etcd_metrics.figures([Member("etcd-1", BEFORE, again), Member("etcd-2", BEFORE, AFTER)], 50)
    assert beside["proposals_per_task"] == 2.0
    assert beside["fsync_mean_s"] == pytest.approx(0.002)
    assert beside["bytes_in_per_task"] is None  # a part must not pass for the whole


def test_without_readings_or_tasks_there_are_no_figures() -> None:
    for members, completed in (([], 50), ([Member("a", None, None)], 50), ([Member("a", BEFORE, None)], 50)):
        assert set(etcd_metrics.figures(members, completed).values()) == {None}
    assert etcd_metrics.figures([Member("etcd-1", BEFORE, AFTER)], 0)["bytes_in_per_task"] is None


@pytest.fixture
def page() -> Iterator[str]:
    """A server that answers with `TEXT` at /metrics, and with nonsense elsewhere."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(TEXT.encode() if self.path == "/metrics" else b"hello")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_members_that_do_not_answer_are_unknown(page: str) -> None:
    urls = {"good": f"{page}/metrics", "strange": f"{page}/other", "gone": "http://127.0.0.1:1/metrics"}
    assert etcd_metrics.read_all(urls) == {"good": BEFORE, "strange": None, "gone": None}


def test_a_given_cluster_is_asked_where_its_clients_ask() -> None:
    one = Scenario(name="any", workload=Workload(arrivals=Burst(), count=1))
    with RealWorld(one, "127.0.0.1:2379,http://other:99") as world:
        assert world._metrics_urls() == {
            "127.0.0.1:2379": "http://127.0.0.1:2379/metrics",
            "other:99": "http://other:99/metrics",
        }


def test_what_is_written_says_everything(tmp_path: Path) -> None:
    members = [Member("etcd-1", BEFORE, AFTER), Member("127.0.0.1:1", None, None)]
    etcd_metrics.write(members, tmp_path / "etcd.json")
    found = msgspec.json.decode((tmp_path / "etcd.json").read_bytes(), type=dict[str, list[Member]])
    assert found == {"members": members}
