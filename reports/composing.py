"""The text of the report: the templates, and the names that they may use."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jinja2

from reports import (
    attribution,
    columns,
    effects,
    facts,
    headline,
    language,
    numbers,
    phrases,
    render,
    selection,
    tables,
    tables_claims,
    tables_deployment,
    tables_faults,
    tables_resources,
    tables_setting,
    usl,
)
from reports.drawing import gantt_of
from reports.language import gettext
from reports.markdown import Md, code, escape
from reports.numbers import duration, error_of, integer, number, plain, signed_percent
from reports.provenance import Known, Source, sourced
from reports.runs import WORLDS, Runs, Scenario, World

MODULES = {
    "sel": selection, "tables": tables, "tables_claims": tables_claims, "tables_faults": tables_faults,
    "tables_resources": tables_resources, "setting": tables_setting, "facts": facts, "headline": headline,
    "attribution": attribution, "effects": effects, "deployment": tables_deployment,
}  # fmt: skip
MOST_NAMED = 4


def environment() -> jinja2.Environment:
    """Templates that yield Markdown: everything printed is escaped unless it already is Markdown."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(render.TEMPLATES),
        undefined=jinja2.StrictUndefined,
        finalize=escape,
        comment_start_string="{##",  # "{#" opens a label in pandoc's Markdown
        comment_end_string="##}",
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - not HTML: `finalize` escapes for Markdown
    )
    language.install(found, escape, Md)
    found.tests["unrepeated"] = lambda one: any(
        estimate.n == 1 for world in WORLDS if (estimate := one.get(world, "throughput_per_s"))
    )
    found.tests["sampled"] = lambda one: one.get("real", "cpu_s_per_1000") is not None
    found.globals |= MODULES
    for name in ("number", "integer", "plain", "interval", "value_of", "duration", "percent", "signed_percent"):
        found.globals[name] = getattr(numbers, name)
    for name in ("repetitions", "notation", "bars"):
        found.globals[name] = getattr(headline, name)
    found.globals |= {"code": code, "steady_of": columns.steady_of, "not_run": not_run, "usl_of": usl_of}
    found.globals |= {"named": named, "worst": worst, "dated": dated}
    return found


def compose(runs: Runs, figures: set[str]) -> str:
    """The report as pandoc Markdown."""
    date, commit = facts.date_of(runs), facts.commit_of(runs)
    told = date.strftime("%Y-%m-%d %H:%M UTC") if date else gettext("date unknown")
    everything = runs.everything()
    drawn = gantt_of(runs)
    return environment().get_template("report.md.j2").render(
        runs=runs,
        figures=figures,
        warnings=facts.warnings(runs),
        commit=commit,
        date=told,
        date_told=sourced(told, Source("environment.json", "date")),
        commit_told=Md(sourced(code(commit), Source("environment.json", "commit"))) if commit else numbers.MISSING,
        machine=machine(runs),
        cores=facts.cores_of(runs),
        claims_counted=integer(runs.known(len(runs.claims), tables_claims.FILE, "id")),
        refuted=refuted(runs),
        everything=everything,
        scaling=selection.scaling(runs),
        polling=selection.polling(runs),
        latency=selection.latency(runs),
        recoveries=selection.recoveries(runs),
        failures=selection.failures(runs),
        burst=selection.burst(runs),
        fleets=selection.fleets(runs),
        gantt_of=drawn.name if drawn else "",
        plan=plan(runs),
        both=[one for one in everything if one.has_real and one.has_sim],
    )  # fmt: skip


def not_run(claims: str) -> Md:
    """The sentence that stands where a section has no runs."""
    return Md(gettext("Not run: no finished scenario bears on {claims}.", claims=claims))


def named(scenarios: Sequence[Scenario]) -> Md:
    """Their names."""
    return Md(gettext(", ").join(code(one.name) for one in scenarios))


def dated(when: str) -> str:
    """When the model was calibrated, as calibration.json says."""
    return sourced(when, Source("calibration.json", "when"))


def machine(runs: Runs) -> str:
    """Processor, cores and etcd in a few words."""
    known = runs.environment
    cores = facts.cores_of(runs)
    etcd = facts.etcd_of(runs)
    version = f"etcd {etcd['version']}" if etcd.get("version") else ""
    if version and etcd.get("durable"):
        version = gettext("{etcd} that waits for the disk", etcd=version)
    parts = [known.get("cpu_model"), gettext("{cores} cores", cores=cores) if cores else "", version]
    return sourced(gettext(", ").join(str(part) for part in parts if part), Source("environment.json", "cpu_model"))


def refuted(runs: Runs) -> str:
    """The ids of the claims that do not hold."""
    rows = [row for row in runs.claims if tables_claims.split_verdict(row.get("verdict"))[0] == "does not hold"]
    return gettext(", ").join(str(row.get("id")) for row in rows)


def worst(scenarios: Sequence[Scenario]) -> Md:
    """The largest errors of the model beyond the right size, each with its scenario and figure."""
    found = []
    for one in scenarios:
        for header, key in tables.FIDELITY:
            error = error_of(one.get("real", key), one.get("sim", key))
            if error is not None and abs(error) > headline.ROUGH:
                found.append((abs(float(error)), one, header, error))
    found.sort(key=lambda item: (-item[0], item[1].name, item[2]))
    texts = [
        gettext("{figure} of {name} {error}", figure=gettext(header), name=code(one.name), error=signed_percent(error))
        for _, one, header, error in found[:MOST_NAMED]
    ]
    return Md(gettext(", ").join(texts))


class Fitted(NamedTuple):
    """The Universal Scalability Law in words."""

    sigma: str
    kappa: str
    peak: str


def usl_of(scenarios: Sequence[Scenario], world: World) -> Fitted | None:
    """The law's parameters with their bounds; None where nothing fits."""
    found = usl.of_scenarios(scenarios, world)
    if found is None:
        return None
    fit, known = found

    def shown(value: float, bounds: tuple[float, float] | None) -> str:
        text = numbers.digits(value, 2)
        if bounds:
            low, high = (numbers.digits(bound, 2) for bound in bounds)
            text = f"{text} [{low},{numbers.NBSP}{high}]"
        return sourced(text, known)

    peak = gettext("no peak within sight of the data")
    if fit.peak is not None:
        peak = gettext("peak at {size} workers", size=sourced(numbers.digits(fit.peak, 2), known))
    return Fitted(shown(fit.sigma, fit.sigma_bounds), shown(fit.kappa, fit.kappa_bounds), peak)


def plan(runs: Runs) -> dict[str, Any]:
    """The answer of the planner, in pieces for the text; empty where it was not asked."""
    if not runs.plan:
        return {}

    def known(*path: str) -> Known | None:
        node: Any = runs.plan
        for part in path:
            node = node.get(part) if isinstance(node, dict) else None
        return runs.known(node, "plan.json", ".".join(path)) if isinstance(node, int | float) else None

    target = runs.plan["targets"][0]["text"]
    source = Source("plan.json", "targets")
    found: dict[str, Any] = {name: plain(known("topology", name)) for name in ("workers", "slots", "schedulers")}
    service = known("service_mean_s")
    return found | {
        "target": sourced(target, source),
        "rate": plain(known("rate_per_s")),
        "service": plain(service),
        "dispatch": runs.plan["topology"]["dispatch"],
        "reached": duration(known("targeted", target, "value")),
        "simulations": integer(known("simulations")),
        "room": number(known("room", "rate_per_s")) if known("room", "rate_per_s") else "",
        "breaks": phrases.told(str(runs.plan.get("room", {}).get("breaks", ""))),
    }
