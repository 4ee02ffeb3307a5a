"""What a process imports before it works is paid for at each of many starts."""

import subprocess
import sys

import pytest

HEAVY = {"pydantic", "numpy", "pandas", "scipy", "matplotlib", "simpy"}
START = """
import sys
from core.cli import app
try:
    app(sys.argv[1:])
except SystemExit as end:
    print(end.code, *sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize("component", ["scheduler", "worker"])
def test_a_component_imports_nothing_heavy(component: str) -> None:
    command = [sys.executable, "-c", START, component, "--etcd-endpoints", "127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    code, *modules = done.stdout.split()
    assert code == "3", done.stderr  # it went as far as to look for etcd
    assert not HEAVY & set(modules)
