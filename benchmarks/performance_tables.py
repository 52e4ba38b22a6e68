"""The tables of `benchmarks.performance`: what its figures come to, and which targets they meet."""

import contextlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.performance_runs import Row
from stages.core.errors import InputError

Cases = Mapping[str, Row]
"""A section's figures, by the names under which they were measured."""

STAGES = {
    "frames": "frames: names and digests",
    "anchors": "choice of the anchors",
    "anchor_masks": "anchor masks",
    "tracks": "propagation",
    "refined": "refinement between the anchors",
    "masks": "refinement of the anchors, result",
}


def tables(out: Path) -> dict[str, str]:
    """A table of every section as far as it has been measured, of the targets, and of where it all was measured."""
    reports = {name: report for name in TABLES if (report := read_report(out / f"{name}.json"))}
    sections = {name: report["cases"] for name, report in reports.items()}
    made = {}
    for name, cases in sections.items():
        with contextlib.suppress(KeyError):  # a section that was stopped lacks figures
            made[name] = TABLES[name](cases)
    machines = {
        name: {
            "sequence": f"{report['inputs']['sequence']}, {report['inputs']['frames']} frames",
            "cores": str(report["machine"]["cpus"]),
            "torch": report["machine"]["versions"]["torch"],
            "load before": report["load"],
        }
        for name, report in reports.items()
        if name in made
    }
    judged = {name: cases for name, cases in sections.items() if reports[name]["complete"]}
    return made | {"targets": targets_table(judged), "machines": markdown("section", machines)}


def read_report(path: Path) -> dict[str, Any] | None:
    """A section's figures with what they were measured on, or None.

    Raises:
        InputError: it is not what `benchmarks.performance` writes.
    """
    if not path.is_file():
        return None
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if report.keys() >= {"inputs", "machine", "load", "complete", "cases"}:
            return report
    except (ValueError, AttributeError):
        pass
    raise InputError(f"{path}: found something else than a section's figures; delete it, and measure them again")


def median(cases: Cases, prefix: str) -> Row:
    """The medians of all rounds, number by number."""
    return _joined([row for name, row in cases.items() if name.startswith(prefix)], np.median, prefix)


def mean(cases: Cases, prefix: str) -> Row:
    """The means of all sequences, number by number."""
    return _joined([row for name, row in cases.items() if name.startswith(prefix)], np.mean, prefix)


def _joined(rows: Sequence[Row], how: Callable[[list[float]], Any], what: str) -> Row:
    if not rows:
        raise KeyError(what)
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return {
        key: _joined(column, how, what) if isinstance(column[0], dict) else float(how(column))
        for key, column in columns.items()
    }


def markdown(first: str, rows: Mapping[str, Row]) -> str:
    """A table; its columns are those of all rows, in order of appearance."""
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    lines = [[first, *columns], ["---"] * (1 + len(columns))]
    lines += [[name, *(_cell(row.get(column)) for column in columns)] for name, row in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 0.0001 else f"{value:.2f}"


def fill(document: Path, made: Mapping[str, str]) -> None:
    """Put tables between the lines `<!-- begin NAME -->` and `<!-- end NAME -->` of a document.

    Raises:
        InputError: there is no such pair of lines, or more than one.
    """
    text = document.read_text(encoding="utf-8")
    for name, table in made.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
        parts = re.split(f"{re.escape(begin)}.*?{re.escape(end)}", text, flags=re.DOTALL)
        if len(parts) != 2:
            raise InputError(
                f"{document}: found {len(parts) - 1} places for the table {name!r}, expected one: a line "
                f"{begin.strip()} and a line {end.strip()}; put them where it belongs"
            )
        text = f"{begin}\n{table}\n{end}".join(parts)
    document.write_text(text, encoding="utf-8")


# ---------------------------------------------------------------------------------------------- sections


def peak_table(cases: Cases) -> str:
    """Least and measured CPU seconds of each network, and the functions that take most of them."""
    networks = dict(cases)
    peaks = {kind: networks.pop(kind)["multiply_adds_per_s"] for kind in ("float32", "bfloat16")}
    rows = {
        name: {
            "G multiply-adds": 1e-9 * row["multiply_adds"],
            **{f"least CPU s, {kind}": row["multiply_adds"] / speed for kind, speed in peaks.items()},
            "CPU s measured": row["cpu_s"],
            "share of float32's peak": row["multiply_adds"] / peaks["float32"] / row["cpu_s"],
        }
        for name, row in networks.items()
    }
    speeds = ", ".join(f"{1e-9 * speed:.1f} G in {kind}" for kind, speed in peaks.items())
    profiles = {
        name: {"functions that take most of the time themselves": _named_shares(row["shares"])}
        for name, row in networks.items()
    }
    return f"Multiply-adds a second of one thread: {speeds}.\n\n{markdown('', rows)}\n{markdown('', profiles)}"


def _named_shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"`{name}` {share:.0%}" for name, share in shares.items())


def stages_table(cases: Cases) -> str:
    """Medians: each stage with one worker, then whole runs."""
    one, two = median(cases, "workers 1,"), median(cases, "workers 2,")
    rest = one["cpu_s"] - sum(stage["cpu_s"] for stage in one["stages"].values())
    parts = {STAGES[name]: one["stages"][name] for name in STAGES if name in one["stages"]}
    parts["start, scheduling, checks"] = {"cpu_s": rest}
    rows = {
        name: {
            "CPU s": part["cpu_s"],
            "share": f"{part['cpu_s'] / one['cpu_s']:.1%}",
            "wall s": part.get("wall_s"),
            "peak MiB": part.get("peak_mib"),
        }
        for name, part in parts.items()
    }
    for name, run in (("**whole run, 1 worker**", one), ("**whole run, 2 workers**", two)):
        rows[name] = {"CPU s": run["cpu_s"], "wall s": run["wall_s"], "peak MiB": run["peak_mib"],
                      "frames a second": run["frames"] / run["wall_s"]}  # fmt: skip
    rows["propagation alone, 2 workers"] = {"frames a second": propagated_per_second(two)}
    return markdown("stage", rows)


def propagated_per_second(two_workers: Row) -> float:
    """Frames between anchors a second, while both workers propagate."""
    return float(two_workers["tracked"] / (two_workers["stages"]["tracks"]["wall_s"] / 2))


def original_table(cases: Cases) -> str:
    """CPU seconds for the whole sequence, scaled up from the sample."""
    original, default = (whole_sequence(cases, mode) for mode in ("exact", "default"))
    whole, pipeline_s = sum(original.values()), median(cases, "pipeline,")["cpu_s"]
    compared = {
        **{part: (original[part], default[part]) for part in original},
        "**the paper's networks in default mode**": (whole, sum(default.values())),
        "**the default networks, a whole run**": (whole, pipeline_s),
    }
    rows = {
        name: {"original, CPU s": before, "now, CPU s": now, "times less": before / now}
        for name, (before, now) in compared.items()
    }
    return markdown("", rows)


def whole_sequence(cases: Cases, mode: str) -> dict[str, float]:
    """CPU seconds of each part for the whole sequence in `exact` or `default` mode, from the medians of the rounds."""
    amounts = cases["amounts"]
    click, track, refine = (median(cases, f"{name},") for name in ("fbrs", "siammask", "cascadepsp"))
    return {
        f"f-BRS-B, ResNet-50: {amounts['anchors']} anchors": amounts["anchors"] * click[mode],
        f"SiamMask: {amounts['steps']} steps in both directions": amounts["starts"] * track[f"{mode}_start"]
        + amounts["steps"] * track[f"{mode}_step"],
        f"CascadePSP: {amounts['refined']} frames": amounts["refined"] * refine[mode],
    }


def scaling_table(cases: Cases) -> str:
    """A row a case; a unit is a frame, an object or a sequence."""
    rows = {}
    for name, row in cases.items():
        axis, amount = name.split()
        unit = {} if axis == "workers" else {"CPU s a unit": row["cpu_s"] / int(amount)}
        rows[name] = {"wall s": row["wall_s"], "CPU s": row["cpu_s"], **unit, "peak MiB": row["peak_mib"]}
    return markdown("case", rows)


def finished_table(cases: Cases) -> str:
    """Wall seconds of the look, and of the work before it."""
    titles = {"first_s": "labelled, wall s", "recheck_s": "looked at again, wall s"}
    return markdown("", {name: {title: row[key] for key, title in titles.items()} for name, row in cases.items()})


def shortcuts_table(cases: Cases) -> str:
    """Means over the sequences, the pipeline beside itself without each shortcut."""
    means = _shortcuts(cases)
    taken = means.pop("default")
    rows = {
        name: {
            "J": taken["J"],
            "J without": without["J"],
            "F": taken["F"],
            "F without": without["F"],
            "CPU s a mask": taken["cpu_s"],
            "CPU s without": without["cpu_s"],
        }
        for name, without in means.items()
    }
    return markdown("shortcut", rows)


def _shortcuts(cases: Cases) -> dict[str, Row]:
    """Means over the sequences that have all figures, by the name of what is left out; `default` leaves out nothing."""
    sequences: dict[str, set[str]] = {}
    for case in cases:
        name, _, sequence = case.partition(", ")
        sequences.setdefault(name, set()).add(sequence)
    complete = set.intersection(*sequences.values()) if sequences else set()
    compared = {case: row for case, row in cases.items() if case.partition(", ")[2] in complete}
    return {name: mean(compared, f"{name}, ") for name in sequences}


TABLES: dict[str, Callable[[Cases], str]] = {
    "peak": peak_table,
    "stages": stages_table,
    "original": original_table,
    "scaling": scaling_table,
    "finished": finished_table,
    "shortcuts": shortcuts_table,
}
"""By section."""


# ---------------------------------------------------------------------------------------------- targets


class Target(NamedTuple):
    """What was asked for."""

    what: str
    limit: float
    is_floor: bool
    """Whether more is better."""
    measured: Callable[[Mapping[str, Cases]], float]
    """From the cases of all sections; raises KeyError where one is missing."""


def _workers(sections: Mapping[str, Cases], count: int) -> Row:
    return median(sections["stages"], f"workers {count},")


def _refinement_share(sections: Mapping[str, Cases]) -> float:
    one = _workers(sections, 1)
    return float((one["stages"]["refined"]["cpu_s"] + one["stages"]["masks"]["cpu_s"]) / one["cpu_s"])


def _original_s(sections: Mapping[str, Cases], mode: str = "exact") -> float:
    return sum(whole_sequence(sections["original"], mode).values())


def _largest_peak(sections: Mapping[str, Cases]) -> float:
    return float(max(row["peak_mib"] for row in sections["scaling"].values()))


def _growth_of_peak(sections: Mapping[str, Cases]) -> float:
    """The longest video's against the shortest one's."""
    rows = {name.split()[1]: row for name, row in sections["scaling"].items() if name.startswith("frames ")}
    lengths = sorted(rows, key=int)
    if len(lengths) < 2:
        raise KeyError("frames")
    return float(rows[lengths[-1]]["peak_mib"] / rows[lengths[0]]["peak_mib"])


def _largest_change(sections: Mapping[str, Cases]) -> float:
    means = _shortcuts(sections["shortcuts"])
    return float(max(abs(row["J"] - means["default"]["J"]) for row in means.values()))


TARGETS = (
    Target("default pipeline against the original: times less CPU", 150, True,
           lambda s: _original_s(s) / median(s["original"], "pipeline,")["cpu_s"]),
    Target("the paper's networks, default mode against the original: times less CPU", 8, True,
           lambda s: _original_s(s) / _original_s(s, "default")),
    Target("default pipeline, 2 workers: frames a second", 5, True,
           lambda s: _workers(s, 2)["frames"] / _workers(s, 2)["wall_s"]),
    Target("propagation alone, 2 workers: frames a second", 10, True, lambda s: propagated_per_second(_workers(s, 2))),
    Target("share of refinement in the default pipeline", 0.5, False, _refinement_share),
    Target("2 workers against 1, one sequence: times faster", 1.7, True,
           lambda s: _workers(s, 1)["wall_s"] / _workers(s, 2)["wall_s"]),
    Target("nothing to do: wall s", 5, False, lambda s: s["finished"]["200 sequences"]["recheck_s"]),
    Target("peak of a worker: MiB", 1536, False, _largest_peak),
    Target("the same, the longest video against the shortest", 1.25, False, _growth_of_peak),
    Target("largest change of mean J by a shortcut", 0.005, False, _largest_change),
)  # fmt: skip


def targets_table(sections: Mapping[str, Cases]) -> str:
    """Each target, what was measured, and whether that meets it."""
    rows: dict[str, Row] = {}
    for target in TARGETS:
        rows[target.what] = {"target": f"at {'least' if target.is_floor else 'most'} {target.limit:g}"}
        try:
            measured = float(target.measured(sections))
        except KeyError:
            rows[target.what] |= {"measured": None, "": "not measured"}
            continue
        is_met = measured >= target.limit if target.is_floor else measured <= target.limit
        rows[target.what] |= {"measured": measured, "": "met" if is_met else "**missed**"}
    return markdown("what", rows)
