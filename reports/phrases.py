"""Sentences that come with the data, such as those of `claims.json`, in the language of the report.

They are English and full of figures. A clause is looked up with its figures taken out, each as `#` (`host lost: all
done, # run twice`), and gets them back in order. What is not in the list below stays as it is.
"""

# ruff: noqa: RUF001 - the minus sign of figures

import re

from reports.language import current, gettext, mark, pgettext

_NUMBER = r"(?:\d{4}-\d\d-\d\d|−?\d[\d,]*(?:\.\d+)?)"
"""A date is one figure."""
_COUNT = rf"n = {_NUMBER}(?: or {_NUMBER})?"
_FIGURE = re.compile(
    rf"(?<![\w.-]){_NUMBER}(?: ?/ ?{_NUMBER})*(?:/s\b| ?%| (?:s|ms|us|MB|KB)(?!\w))?"
    rf"(?: \((?:{_NUMBER} to {_NUMBER}, )?{_COUNT}\))?"
)
_NOTE = re.compile(rf" \({_COUNT}\)$")
_WORDS = tuple((re.compile(pattern), word) for pattern, word in (
    (r"(?<=\d) to (?=[−\d])", mark(" to ")), (r"(?<=\d) or (?=\d)", mark(" or ")), (r" %", mark(" %")),
    (r" us\b", mark(" us")),
))  # fmt: skip
SPLITS = (re.compile(r"; "), re.compile(r": "), re.compile(r", (?!n = )"))

PHRASES = (
    # throughput and scaling
    mark("watch #"), mark("poll, fixed rate #"), mark("poll, fixed rate, # workers #"),
    mark("latency beyond execution, poll, mean #"), mark("wait for an assignment, poll, mean #"),
    mark("tasks of # on # workers #"), mark("# schedulers #"), mark("# of # tasks run twice"),
    mark("one of three killed"), mark("a follower of three killed"), mark("the leader of three killed"),
    mark("all done"), mark("submit to start p99 #"),
    mark("# workers, # cores, # schedulers #"),
    mark(
        "dispatch is by watch, or tasks end just before a pull: with one every #, a task of # misses it and holds its "
        "slot for #"
    ),
    mark("tasks are long: with tasks of #, ten workers bring # times what one does"),
    mark("and tasks are long: with tasks of #, ten workers bring # times what one does"),
    # benchmarks
    mark("one: p50 #, p99 #"), mark("a bare put p50 #"), mark("concurrent #"), mark("in batches of #: #"),
    mark("# in all, #"), mark("# in all, #, # run twice"), mark("serialise #, p50 #"), mark("deserialise #, p50 #"),
    mark("many are submitted by one call: threads that each wait for their own reach less"),
    mark("the typical operation is meant: more than # take longer than #"),
    # latency
    mark("p50 #"), mark("p95 #"), mark("p99 #"), mark("poll, mean #"), mark("watch, mean #"),
    mark("the typical task is meant: more than # take longer than #"),
    mark("tasks wait for polls; by watch it is under #"),
    # failures
    mark("host lost"), mark("hangs"), mark("process killed"), mark("drained"), mark("cut off"),
    mark("half run again after #"), mark("all after #"), mark("# run twice"), mark("none run twice"),
    mark("# not completed"), mark("# lost"), mark("# committed twice"),
    mark("# lost in #"), mark("# committed twice in #"), mark("# not completed in #"),
    mark("slots are free for what was lost: the last of it started # after the first"),
    # resources and bottlenecks
    mark("idle"), mark("# queued"), mark("scheduler #"), mark("worker #"), mark("scheduler #, worker #"),
    mark("the queue is short: with idle a scheduler takes #"), mark("the queue is short: with idle a worker takes #"),
    mark("the queue is short: with # queued a scheduler takes #"),
    mark("the queue is short: with # queued a worker takes #"),
    mark("the last of a lost host's tasks # after the first"),
    mark("tasks come one by one, fewer than #, which take # of a core"),
    mark("shared pages counted once"), mark("less than stated is no objection"),
    mark("idle, #"), mark("busy, #"), mark("# of a core"), mark("# for each write"),
    mark("a task takes # writes, # to etcd and # from it"),
    mark("tasks of #"), mark("share of the time that slots are busy #"), mark("a task alone"),
    mark("# of its latency are writes to etcd"), mark("# of # cores are busy"),
    mark("tasks last, or etcd has a machine of its own: with short tasks, all on one, the processors bind"),
    mark("here"), mark("etcd # away"), mark("# away"), mark("each flush # later"),
    mark("latency beyond execution, p50 #"),
    mark("latency beyond execution, p50"), mark("as here #"),
    mark("no fsync #"), mark("each flush # later #"), mark("each flush # later: enqueue p50 #"),
    mark("etcd # away #"), mark("# away #"),
    mark("enqueue p50, # member #"), mark("enqueue p50, # #"),
    # optimisations
    mark("everything on #"), mark("at most # #"), mark("one task a transaction #"), mark("next to no cache #"),
    mark("no local queue #"), mark("one transaction at a time #"), mark("pull every #"), mark("# slots a worker"),
    mark("lease of #"), mark("latency beyond execution #"), mark("running again after #"),
    mark("one task a transaction"), mark("one transaction at a time"), mark("next to no cache"), mark("no local queue"),
    mark("the poll interval"), mark("concurrency"), mark("the lease's timeout"),
    mark(
        "asynchronous handling is meant: every process keeps its one connection, which nothing switches off, so reuse "
        "has nothing to be compared with"
    ),
    mark("# member: enqueue p50 #"), mark("# members: enqueue p50 #"), mark("# members, no duration: #, of one #"),
    mark("one fsync #"),
    mark("availability is what the cluster is for: it costs time for every write, and buys no throughput here"),
    # endurance
    mark("# slots"), mark("# slots, poll"), mark("# wait at the end"), mark("wait for an assignment p99 #"),
    mark(
        "there are more slots than the load needs: at utilisation # the queue follows chance and # tasks wait at the "
        "end"
    ),
    mark("with # slots hardly any"), mark("# at once"), mark("# at once of # (bound #)"), mark("all done in #"),
    mark("# workers"), mark("#, submit to start p99 #"), mark("there are fewer than # workers"),
    mark('"medium" goes up to # workers at least: in the model one scheduler and one etcd keep up'),
    mark("the most that one scheduler and one etcd give out #"),
    # deployment
    mark("tried on #"), mark("# of # steps did what they should"), mark("end to end"), mark("in containers"),
    mark("not all done"), mark("# to #"),
    # where a parameter of the model comes from
    mark("/metrics"), mark("mean commit of the backend, n = #"), mark("mean fsync by puts a fsync, # transactions"),
    mark("CPU time of a slot for an echo task of no duration, halved"),
    mark("the same sleeps"), mark("over their median"), mark("median of # sleeps of # in a slot"),
    mark("CPU time of one of ten tasks of # together, without the above, halved"),
    mark("CPU time of a task of # alone, without its sleep and the above, halved"),  # profiles up to 2026-11-26
    mark("CPU time of a task of # alone, without its sleep and these, halved"), mark("CPU time of sleeping for #"),
    mark("what # bytes add to each of ten puts, eight callers"), mark("median of #"), mark("CPU time of the client"),
    mark("what a compare adds to each of ten puts, eight callers"),  # profiles up to 2026-11-28, 08:00
    mark("what a compare adds to a put, # in a transaction"),
    mark("CPU time of the server"), mark("the mean fsync in /metrics"), mark("CPU time of who watches"),
    mark("the mean commit of the backend in /metrics"),
    mark("CPU time of the server that tells a watcher"),
    mark("CPU time of the client by keys read"), mark("CPU time of the server by keys read"),
    mark("Client.submit_specs, CPU time"), mark("a system of # workers at rest for #, less # for keepalives"),
    mark("scaled by #"),
    mark("an exchange of bytes over loopback, halved"), mark("fitted on the model, # transactions in # cells"),
    mark("mean error"), mark("latency p50 #"), mark("client CPU #"), mark("server CPU #"), mark("puts per fsync #"),
    mark("fsync #"), mark("no stolen time in holes of at least #"),
    mark("holes of at least # in busy loops on all cores, n = #"),
    mark("stolen time"), mark("# in # core seconds of work"), mark("over the mean hole"),
    mark("heard #"), mark("listener CPU #"), mark("latency mean #"), mark("plus the building of it"),
    mark("flag of the embedded server"), mark("import of the client of etcd in a process that runs, once"),
    mark("median of sleeps of # in a slot"), mark("replay of the model's recordings, # groups of events"),
    mark("quantiles # to # of single puts, at once and after rests, without what is not the disk, over their mean"),
    mark("restarts of a small server after a kill, n = #"), mark("mean, less half the range"),
    mark("the range of an even spread of their deviation"), mark("restart of a small server after a kill, n = #"),
    mark("from the start of a scheduler, n = #"),
    mark("from the second start of a worker by its nanny, n = #"), mark("a worker's first start, less that, n = #"),
    mark("from the death of a worker to the end of its lease, n = #"),
    mark("restart of a small server after a kill, once"),  # likewise
    mark("start of an interpreter and the imports, once"),  # likewise
    mark("less that for #"), mark("a nanny that revokes a lease"), mark("in a process that runs, n = #"),
    mark("this machine"), mark("watchers are told before the answer leaves"),
    mark("what a watcher adds to the server's CPU time, # messages"),
    mark("what watching adds to a busy client's CPU time, # messages"), mark("writing moments to a spool"),
    mark("more runs, or another load, may show it"),
    # what gives way first in a plan
    mark("slots"), mark("processors of the host"), mark("a scheduler process (one core at most)"),
    mark("a worker process (one core at most)"), mark("the client process (one core at most)"),
    mark("etcd (round trips through its log)"), mark("the poll intervals (slots stand idle until the next pull)"),
)  # fmt: skip
WITH_NAMES = (
    mark("* is not meant: no throughput was surely lost with it"),
    mark("* is not meant, which changed nothing here"),
    mark("with * no throughput was surely lost"),
    mark("* changed nothing here"),
    mark("short tasks (*)"),
    mark("make report ran # benchmarks and the load tests *"),
)
"""`*`: one or more of the phrases above, or names of scenarios, joined by "and" or "or"."""
_KNOWN = frozenset(PHRASES)
_NAMED = {key: re.compile(re.escape(key).replace(r"\*", "([^;:]+)")) for key in WITH_NAMES}
_JOINTS = {" and ": mark(" and "), " or ": mark(" or ")}


def told(text: str) -> str:
    """The text in the current language, clause by clause; English is left alone."""
    if current() == "en":
        return text
    joints = (pgettext("clauses", "; "), pgettext("clauses", ": "), pgettext("clauses", ", "))
    return _clauses(text, tuple(zip(SPLITS, joints, strict=True)))


def _clauses(text: str, separators: tuple[tuple[re.Pattern[str], str], ...]) -> str:
    whole = _clause(text)
    if whole is not None:
        return whole
    for at, (split, joint) in enumerate(separators):
        parts = split.split(text)
        if len(parts) > 1:
            return joint.join(_clauses(part, separators[at:]) for part in parts)
    return _figure(text) if _FIGURE.fullmatch(text) else text


def _clause(text: str) -> str | None:
    """A clause that is known with its figures taken out; None where it is not."""
    note = _NOTE.search(text)
    body = text[: note.start()] if note else text
    figures = iter([_figure(one.group(0)) for one in _FIGURE.finditer(body)])
    key, names = _FIGURE.sub("#", body), ""
    if key not in _KNOWN:
        key, names = next(
            ((one, found[1]) for one, shape in _NAMED.items() if (found := shape.fullmatch(key))), ("", "")
        )
    if not key:
        return None
    shown = re.sub("#", lambda _: next(figures), gettext(key)).replace("*", _names(names))
    return shown + (_figure(note.group(0)) if note else "")


def _names(text: str) -> str:
    for joint, translated in _JOINTS.items():
        if joint in text:
            return gettext(translated).join(map(_names, text.split(joint)))
    return gettext(text)


def _figure(text: str) -> str:
    for pattern, word in _WORDS:
        text = pattern.sub(gettext(word), text)
    return text
