# SPDX-License-Identifier: Apache-2.0
"""What scripts/bench_cpu and scripts/bench_tables share: the machine, its neighbours, and how results
are told and kept."""

import os
import platform
import statistics
import time

BUSY = 0.05  # share of the machine that others may use

# What would change how the contenders' threads work.
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not name.startswith(("OMP_", "GOMP_", "OPENBLAS_", "MKL_", "KMP_", "DNNL_", "ONEDNN_"))}


def processor():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        facts = dict(line.split(":", 1) for line in f if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    flags = facts.get("flags", "").split()
    wide = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_tile") if flag in flags]
    return f"{facts.get('model name', platform.machine())}, {os.cpu_count()} cores, {' '.join(wide)}"


def machine_seconds():
    """CPU seconds that the whole machine has worked, and those stolen from a virtual one."""
    with open("/proc/stat", encoding="ascii") as f:
        ticks = [int(word) for word in f.readline().split()[1:]]
    user, nice, system, _, _, irq, softirq, steal = ticks[:8]
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def own_seconds(processes=()):
    times = os.times()
    total = times.user + times.system + times.children_user + times.children_system
    for process in processes:
        if process.poll() is None:
            with open(f"/proc/{process.pid}/stat", encoding="ascii") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


class Neighbours:
    """How much of the machine others use, from one look to the next."""

    def __init__(self):
        self.begin = None
        self.look()

    def look(self, *processes):
        now = (time.monotonic(), machine_seconds(), own_seconds(processes))
        begin, self.begin = self.begin, now
        if not begin:
            return 0.0
        passed, worked, own = (b - a for a, b in zip(begin, now))
        return max(0.0, (worked - own) / (passed * os.cpu_count()))


def spread(values, scale=1.0, digits=4):
    """Median and range."""
    ordered = sorted(value * scale for value in values)
    middle = statistics.median(ordered)
    return f"{middle:.{digits}g} ({ordered[0]:.3g}–{ordered[-1]:.3g})"


def ratio(ours, theirs):
    return spread([a / b for a, b in zip(ours, theirs)], digits=3)


def table(rows):
    head = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    return head + ["| " + " | ".join(row) + " |" for row in rows[1:]]


def record(path, section):
    """Writes a section, a text that begins with a heading `# …`, in place of the one of that heading."""
    heading = section.splitlines()[0]
    sections = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            for line in f:
                if line.startswith("# ") or not sections:
                    sections.append("")
                sections[-1] += line
    for i, old in enumerate(sections):
        if old.startswith(heading + "\n"):
            sections[i] = section
            break
    else:
        sections.append(section)
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(text.strip("\n") + "\n" for text in sections))
