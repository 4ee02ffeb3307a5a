"""What is sampled of real processes."""

import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from core.etcd.host import data_folder, filesystem_of
from experiments import sampling
from experiments.metrics import RESOURCE_COLUMNS
from experiments.sampling import Sampler

SIZE = 8_000_000
WORK = """
import os, sys, time
block = os.urandom({size})
sys.stdin.readline()
with open({path!r}, "wb") as file:
    file.write(block)
    file.flush()
    os.fsync(file.fileno())
while time.process_time() < {cpu_s}:
    pass
print("done", flush=True)
sys.stdin.readline()
"""


@contextmanager
def worker(path: Path, cpu_s: float = 0.3) -> Iterator[subprocess.Popen[str]]:
    """A process that, at a line, writes a file of `SIZE` bytes and computes, and at another ends."""
    code = WORK.format(size=SIZE, path=str(path), cpu_s=cpu_s)
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
        path.unlink(missing_ok=True)


def order(process: subprocess.Popen[str], answer: str = "") -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline().strip() == answer


def test_processor_memory_and_disk_of_a_process_that_dies_and_of_the_one_that_follows(tmp_path: Path) -> None:
    folder = data_folder()
    path = folder / f"sampling-{tmp_path.name}.bin"
    processes: list[psutil.Process] = []
    sampler = Sampler(lambda: [("worker-1", processes), ("worker-2", [])])
    sampler.start(0.0)
    with worker(path) as first, worker(path.with_suffix(".two")) as second:
        processes.append(psutil.Process(first.pid))
        order(first, "done")
        sampler._sample(pss=True)
        order(first)
        processes[:] = [psutil.Process(second.pid)]
        sampler._sample(pss=False)
        order(second, "done")
        rows = sampler.finish()
    assert tuple(rows.columns) == RESOURCE_COLUMNS
    rows = rows[rows["component"] == "worker-1"].reset_index()
    for counter in ("cpu_s", "read_bytes", "write_bytes"):
        assert (rows[counter].diff().dropna() >= 0).all()
    assert rows["cpu_s"].max() == pytest.approx(0.6, abs=0.1)
    if filesystem_of(folder) not in ("tmpfs", "overlay", "unknown"):
        assert 2 * SIZE <= rows["write_bytes"].max() < 3 * SIZE
    assert rows["rss_bytes"].max() > SIZE
    assert 0 < rows["pss_bytes"].max() <= rows["rss_bytes"].max()
    assert rows["pss_bytes"].isna().any()  # not every sample costs so much


def test_a_system_that_keeps_figures_to_itself_leaves_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: psutil.Process) -> None:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "io_counters", denied)
    monkeypatch.delattr(psutil.Process, "memory_full_info")
    sampler = Sampler(lambda: [("client-1", [psutil.Process()])])
    sampler.start(0.0)
    rows = sampler.finish()
    assert rows["cpu_s"].max() > 0
    assert rows["rss_bytes"].max() > 0
    for column in ("pss_bytes", "read_bytes", "write_bytes"):
        assert rows[column].isna().all()


def test_nothing_is_sampled_after_the_last_sample() -> None:
    """A sample of the thread's own that was due at that moment would count what came after the run."""
    sampler = Sampler(lambda: [("client-1", [psutil.Process()])])
    sampler.start(0.0)
    count = len(sampler.finish())
    sampler._sample(pss=False)
    assert len(sampler._rows) == count


def test_pss_is_read_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(sampling, "INTERVAL_S", 0.0)
    sampler = Sampler(list)
    enough = sampling.PSS_EVERY * 2

    def sample(*, pss: bool) -> None:
        asked.append(pss)
        if len(asked) == enough:
            sampler._stop.set()

    monkeypatch.setattr(sampler, "_sample", sample)
    sampler._loop()
    assert asked == [number % sampling.PSS_EVERY == 0 for number in range(1, enough + 1)]
    assert not math.isnan(sampling._pss_bytes(psutil.Process()))
