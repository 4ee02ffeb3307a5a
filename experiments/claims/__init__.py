"""Verdicts: what the source claims, what was measured, what the model says, and whether the claim holds.

`claims.toml` holds the claims; the modules here hold a rule for each. A rule reads a folder of runs and nothing else:
without a run there is no verdict, and every verdict names what it rests on. Where the source's own dispatch (polling)
and ours (watches) disagree, or short tasks and long ones, the verdict is "holds only if", with the condition.
"""

from pathlib import Path

import msgspec

from experiments.claims import (
    benchmarks,
    deployment,
    endurance,
    failures,
    latency,
    optimisations,
    resources,
    throughput,
)
from experiments.claims.reading import Runs
from experiments.claims.verdict import NOT_RUN, Claim, Rule, Verdict
from experiments.scenario import ScenarioError

CLAIMS = Path(__file__).with_name("claims.toml")
FILE = "claims.json"

RULES: dict[str, Rule] = {
    **throughput.RULES,
    **benchmarks.RULES,
    **latency.RULES,
    **failures.RULES,
    **resources.RULES,
    **optimisations.RULES,
    **endurance.RULES,
    **deployment.RULES,
}


def evaluate(root: Path) -> list[Verdict]:
    """Every claim, in the order of claims.toml, judged by what is under `root`."""
    verdicts = []
    for claim in load():
        runs = Runs(root)
        finding = RULES[claim.id](runs)
        verdicts.append(
            Verdict(
                id=claim.id,
                section=claim.section,
                stated=claim.stated,
                claim=claim.statement,
                measured=finding.measured,
                predicted=finding.predicted,
                verdict=finding.verdict,
                condition=finding.condition,
                evidence=runs.used if finding.verdict != NOT_RUN else [],
            )
        )
    return verdicts


def load() -> list[Claim]:
    return msgspec.toml.decode(CLAIMS.read_bytes(), type=dict[str, list[Claim]])["claim"]


def write(root: Path) -> Path:
    """Judge the runs under `root` and write `claims.json` there.

    Raises ScenarioError where a file of theirs is damaged.
    """
    path = root / FILE
    try:
        judged = evaluate(root)
    except (ValueError, msgspec.DecodeError) as error:
        raise ScenarioError(f"a run cannot be read: {error}") from error
    path.write_bytes(msgspec.json.format(msgspec.json.encode(judged), indent=2) + b"\n")
    return path
