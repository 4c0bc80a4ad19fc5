"""What speed.py found, as a table and as a chart."""

import json
import os
import platform
import statistics
import time


class Weather:
    """What else the machine does meanwhile."""

    def __init__(self, server_core, load_core):
        self.cores = (server_core, load_core)
        self.load = os.getloadavg()[0]
        self.at_start = self.read()
        self.own_at_start = self.own()

    @staticmethod
    def read():
        with open("/proc/stat") as f:
            ticks = [int(x) for x in f.readline().split()[1:9]]
        user, nice, system, idle, wait, irq, soft, steal = ticks
        return {"all": sum(ticks), "busy": sum(ticks) - idle - wait, "steal": steal}

    @staticmethod
    def own():
        t = os.times()
        return (t.user + t.system + t.children_user + t.children_system) * os.sysconf("SC_CLK_TCK")

    def said(self):
        now = self.read()
        passed = max(1, now["all"] - self.at_start["all"])
        steal = (now["steal"] - self.at_start["steal"]) / passed
        busy = now["busy"] - self.at_start["busy"]
        others = max(0.0, busy - (self.own() - self.own_at_start)) / passed - steal
        lines = [f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}; "
                 f"{time.strftime('%Y-%m-%d')}."]
        if self.cores[0] is None:
            lines.append("One core for server and generator: they disturb each other.")
        lines.append(f"Load average before: {self.load:.1f}. Meanwhile others had {others:.0%} of the machine, "
                     f"and {steal:.0%} was stolen by its host.")
        if self.load > 0.5 or others > 0.05 or steal > 0.02:
            lines.append("**The machine was busy: these figures are not to be relied on.** Run it again on a quiet one.")
        return lines


def median(values):
    return statistics.median(values) if values else None


class Line:
    def __init__(self, title, value, unit, mark, stretch, peer, note=""):
        self.title, self.value, self.unit = title, value, unit
        self.mark, self.stretch, self.peer, self.note = mark, stretch, peer, note

    def written(self, value):
        if value is None:
            return ""
        return f"{value:.2f}x" if self.unit == "x" else f"{value:,.{1 if self.unit == 'MiB' else 0}f} {self.unit}"

    def verdict(self):
        if self.value is None or self.mark is None:
            return ""
        if self.stretch is not None and self.value <= self.stretch:
            return "stretch"
        return "mark" if self.value <= self.mark else "not yet"


def ratio_line(row, rounds):
    ratios = [t["server_us"] / b["server_us"] for t, b in rounds if b["server_us"] > 0]
    us = median([t["server_us"] for t, _ in rounds])
    note = "" if us is None else f"{us:.2f} us"
    lost = sum(t.get("lost", 0) + t.get("unheard", 0) + t.get("errors", 0) for t, _ in rounds)
    if lost:
        note += f", {lost} lost or refused"
    return Line(row.title, median(ratios), "x", row.mark, row.stretch, row.peer, note)


def memory_lines(results):
    """Of what measured something else: the growth by client and by observer."""
    targets = {name: [t for t, _ in rounds] for name, rounds in results.items()}
    for name, count in (("10k", 10000), ("100k", 100000)):
        grown = [(t["memory"] - t["memory_first"]) / count for t in targets.get(name, [])]
        if grown:
            yield Line(f"memory by the idle client, {count:,}", median(grown), "B", 160, 96, "libcoap 551 to 792 B")
    for name in ("non-200", "non-10k", "non-100k"):
        grown = [(t["memory_registered"] - t["memory_first"]) / t["observers"] for t in targets.get(name, [])
                 if t.get("observers")]
        if grown:
            yield Line(f"memory by the observer, {name[4:]}", median(grown), "B", 256, 160,
                       "libcoap 1,060 to 1,550 B")
    idle = [t["memory_first"] / 2**20 for t in targets.get("w16", [])]
    if idle:
        yield Line("idle C server", median(idle), "MiB", 3, 2, "libcoap 1.4 MiB")
    for name in ("con-10k", "con-100k"):
        told = [t for t in targets.get(name, []) if t.get("rounds")]
        if told:
            gap = max(t["longest_gap_ms"] for t in told)
            wrong = sum(t["twice"] + t["unheard"] for t in told)
            yield Line(f"{name}: longest time in a round without a notification", gap, "ms", 500, 100,
                       "all stall 0.5 to 3 s", f"{wrong} twice or not told")
    bodies = [t["seconds"] / t["bodies"] * 1000 for t in targets.get("body", []) if t.get("bodies")]
    if bodies:
        yield Line("1 MiB by Block2, all of it", median(bodies), "ms", None, None, "aiocoap 727 ms (100 KiB in 71)")


def lines(rows, results):
    found = [ratio_line(r, results[r.name]) for r in rows if results[r.name]]
    return found + list(memory_lines(results))


def table(all_lines, weather):
    out = ["# What copal costs", "",
           "x: CPU time over what the kernel charges the least program that can be (tests/bench/support/base.c,",
           "load.c), of the same round; the median of the rounds. Differences below 10 % are noise.", ""]
    out += weather + ["", "| | value | mark | stretch | reached | others | |", "|---|--:|--:|--:|---|---|---|"]
    for l in all_lines:
        out.append(f"| {l.title} | {l.written(l.value)} | {l.written(l.mark)} | {l.written(l.stretch)} "
                   f"| {l.verdict()} | {l.peer} | {l.note} |")
    return "\n".join(out) + "\n"


def chart(all_lines, weather):
    """Ratios as bars, on a scale that doubles; the marks as strokes."""
    bars = [l for l in all_lines if l.unit == "x" and l.value]
    left, width, step = 330, 420, 22
    most = max([2.0] + [l.value for l in bars] + [l.mark or 0 for l in bars])

    def x(ratio):
        from math import log2
        return left + width * max(0.0, log2(max(ratio, 0.5) / 0.5)) / log2(most / 0.5)

    height = step * len(bars) + 70
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 80}" height="{height}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="100%" height="100%" fill="white"/><text x="10" y="18" font-size="14">'
           'CPU time over the least that can be (1x); green: mark, blue: stretch</text>']
    for tick in (1, 2, 4, 8, 16, 32, 64):
        if tick <= most:
            out.append(f'<line x1="{x(tick):.0f}" y1="28" x2="{x(tick):.0f}" y2="{height - 38}" stroke="#ccc"/>'
                       f'<text x="{x(tick):.0f}" y="{height - 24}" text-anchor="middle">{tick}x</text>')
    for i, l in enumerate(bars):
        y = 34 + i * step
        color = "#4a4" if l.verdict() in ("mark", "stretch") else "#c84" if l.mark else "#888"
        out.append(f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{l.title}</text>'
                   f'<rect x="{left}" y="{y}" width="{x(l.value) - left:.1f}" height="{step - 7}" fill="{color}"/>'
                   f'<text x="{x(l.value) + 6:.1f}" y="{y + 12}">{l.value:.2f}</text>')
        for limit, stroke in ((l.mark, "#060"), (l.stretch, "#00c")):
            if limit:
                out.append(f'<line x1="{x(limit):.1f}" y1="{y - 2}" x2="{x(limit):.1f}" y2="{y + step - 5}" '
                           f'stroke="{stroke}" stroke-width="2"/>')
    said = weather[-1].replace("*", "").replace("<", "&lt;")
    out.append(f'<text x="10" y="{height - 8}">{said}</text></svg>')
    return "\n".join(out) + "\n"


def write(all_lines, weather, folder):
    os.makedirs(folder, exist_ok=True)
    text = table(all_lines, weather)
    with open(f"{folder}/speed.md", "w") as f:
        f.write(text)
    with open(f"{folder}/speed.svg", "w") as f:
        f.write(chart(all_lines, weather))
    with open(f"{folder}/speed.json", "w") as f:
        json.dump([vars(l) for l in all_lines], f, indent=1)
    print(text)
    print(f"in {folder}: speed.md, speed.svg, speed.json")
