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


def ratio(rounds):
    return median([t["server_us"] / b["server_us"] for t, b in rounds if t["server_us"] > 0 and b["server_us"] > 0])


def grown(rounds, key, count):
    """Memory by the client: what the server took between its first and key."""
    return median([(t[key] - t["memory_first"]) / (count or t["observers"]) for t, _ in rounds])


def ranked(besides, value, unit):
    """The others, the least first: "libcoap 3.1x"."""
    found = [(value(rounds), name) for name, rounds in besides.items()]
    after = "x" if unit == "x" else f" {unit}"
    digits = 1 if unit in ("x", "MiB") else 0
    return [f"{name} {least:,.{digits}f}{after}" for least, name in sorted(x for x in found if x[0] is not None)]


def best_of(besides, value, unit):
    return next(iter(ranked(besides, value, unit)), None)


def earlier(known):
    """What others were seen to take elsewhere."""
    return f"({known})" if known else ""


def ratio_line(row, rounds, besides):
    us = median([t["server_us"] for t, _ in rounds])
    note = "" if us is None else f"{us:.2f} us"
    lost = sum(t.get("lost", 0) + t.get("unheard", 0) + t.get("errors", 0) for t, _ in rounds)
    if lost:
        note += f", {lost} lost or refused"
    if len(besides) > 1:
        note += "; " + ", ".join(ranked(besides, ratio, "x")[1:])
    return Line(row.title, ratio(rounds), "x", row.mark, row.stretch,
                best_of(besides, ratio, "x") or earlier(row.peer), note)


def weight_line(row, rounds, besides):
    def value(rounds):
        return grown(rounds, "memory", rounds[0][0]["done"])

    return Line(row.title, value(rounds), "B", row.mark, row.stretch,
                best_of(besides, value, "B") or earlier(row.peer))


def observer_lines(results, besides):
    for name in ("non-10k", "non-100k"):
        for key, what in (("memory_registered", "with its client"), ("memory", "amid notifications")):
            if not results.get(name):
                continue

            def value(rounds, key=key):
                return grown([x for x in rounds if x[0].get("observers")], key, None)

            marks = (256, 160) if key == "memory_registered" else (None, None)
            count = results[name][0][0]["observers"]
            yield Line(f"memory by the observer {what}, {count:,}", value(results[name]), "B", *marks,
                       best_of(besides.get(name, {}), value, "B") or earlier("libcoap 1,060 to 1,550 B"))


def round_lines(results, besides):
    def gap(rounds):
        told = [t["longest_gap_ms"] for t, _ in rounds if t.get("rounds") and t["done"] > 0]
        return max(told) if told else None

    for name in ("con-10k", "con-100k"):
        told = results.get(name)
        if told and gap(told) is not None:
            wrong = sum(t["twice"] + t["unheard"] for t, _ in told)
            count = told[0][0]["observers"]
            yield Line(f"CON round to {count:,}: longest pause in it", gap(told), "ms", 500, 100,
                       best_of(besides.get(name, {}), gap, "ms") or earlier("all stall 0.5 to 3 s"),
                       f"{wrong} twice or not told")


def other_lines(results, besides, has_tls):
    def idle(rounds):
        return median([t["memory_first"] / 2**20 for t, _ in rounds])

    def body(rounds):
        return median([t["seconds"] / t["bodies"] * 1000 for t, _ in rounds if t.get("bodies")])

    if results.get("w16"):
        marks = (6, 5) if has_tls else (3, 2)
        yield Line(f"idle C server, {'with' if has_tls else 'without'} TLS", idle(results["w16"]), "MiB", *marks,
                   best_of(besides.get("w16", {}), idle, "MiB") or earlier("libcoap 1.4 MiB"))
    if results.get("body"):
        yield Line("1 MiB by Block2, all of it", body(results["body"]), "ms", None, None,
                   best_of(besides.get("body", {}), body, "ms") or earlier("aiocoap 727 ms"))


def lines(rows, results, besides, has_tls):
    found = []
    for r in rows:
        rounds = results[r.name]
        if rounds and rounds[0][1] is None:
            found.append(weight_line(r, rounds, besides[r.name]))
        elif rounds:
            found.append(ratio_line(r, rounds, besides[r.name]))
    return (found + list(observer_lines(results, besides)) + list(round_lines(results, besides)) +
            list(other_lines(results, besides, has_tls)))


def table(all_lines, weather):
    out = ["# What copal costs", "",
           "x: CPU time over what the kernel charges the least program that can be (tests/bench/support/base.c,",
           "load.c), of the same round; the median of the rounds. Differences below 10 % are noise. The others were",
           "measured in the same rounds; in parentheses: elsewhere.", ""]
    out += weather + ["", "| | value | mark | stretch | reached | best of the others | |", "|---|--:|--:|--:|---|---|---|"]
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
