-- The style and the script of the page that copal.cli.trace.html writes. The page
-- lets no other script run: HASH is that of SCRIPT, which a test compares.
local M = {}

M.STYLE = [[
:root{color-scheme:light dark;--back:#fff;--ink:#1f2328;--dim:#656d76;--line:#d5dae0;--box:#f3f5f8;--on:#fff3c4;
--c-type:#e7ddff;--c-code:#cfe4ff;--c-mid:#d9dde3;--c-token:#ffe2c2;--c-option:#cdeed6;--c-payload:#f6f1c9}
@media (prefers-color-scheme:dark){:root{--back:#12161c;--ink:#e6edf3;--dim:#9aa4af;--line:#303844;--box:#1d242d;
--on:#3d3413;--c-type:#43356b;--c-code:#1f406b;--c-mid:#39414c;--c-token:#5f401c;--c-option:#1f4f2f;--c-payload:#4d4714}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
header{padding:18px 24px 14px;border-bottom:1px solid var(--line);display:flex;flex-wrap:wrap;gap:8px 24px;align-items:center}
h1{font-size:19px;margin:0;overflow-wrap:anywhere}
header p{margin:0;color:var(--dim);flex:1 1 260px}
input{font:inherit;color:inherit;background:var(--box);border:1px solid var(--line);border-radius:7px;padding:6px 11px;width:230px;max-width:100%}
main{display:grid;grid-template-columns:minmax(0,1fr);gap:20px;padding:16px 24px 24px}
figure{margin:0;min-width:0}
figure svg{display:block;width:100%;height:auto;margin:0 auto}
figure svg:first-child{position:sticky;top:0;z-index:1;border-bottom:1px solid var(--line)}
.m{cursor:pointer}.m:hover .a,.m.on .a{stroke-width:3}.m.on .hit,.m.on .halo{stroke:var(--on)}.m.off{opacity:.12}
aside div{min-width:0}
aside{border:1px solid var(--line);border-radius:10px;padding:14px 16px;background:var(--back);min-width:0}
aside h2{font-size:15px;margin:0 0 2px;overflow-wrap:anywhere}
aside .sub{color:var(--dim);font-size:13px;margin:0 0 10px}
code,pre,td.c,dd,.hex{font-family:ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;font-size:12.5px}
dl{margin:0 0 12px;display:grid;grid-template-columns:max-content minmax(0,1fr);gap:2px 0;align-items:baseline;font-size:13.5px}
dt,dd{padding:2px 8px;margin:0;border-radius:4px}
dd{overflow-wrap:anywhere;white-space:pre-wrap}
.hex{display:grid;grid-template-columns:max-content max-content max-content;gap:0 10px;line-height:1.6;font-size:12px;margin:0;overflow-x:auto}
.hex .o{color:var(--dim)}.hex b{font-weight:400;padding:1px 2.6px;cursor:default}.hex .s b{padding:1px 0}
.k-type{background:var(--c-type)}.k-code{background:var(--c-code)}.k-mid{background:var(--c-mid)}
.k-token{background:var(--c-token)}.k-option{background:var(--c-option)}.k-payload{background:var(--c-payload)}
.hot{outline:2px solid var(--ink);outline-offset:-2px;border-radius:4px}.hex .hot{outline-width:1px;outline-offset:0;border-radius:0}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0 0 12px;padding:8px 10px;background:var(--box);border-radius:6px;max-height:260px;overflow:auto}
section{padding:0 24px 32px;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13.5px}
th{text-align:left;color:var(--dim);font-weight:600;border-bottom:1px solid var(--line)}
th,td{padding:5px 10px;white-space:nowrap;vertical-align:top}td.w{white-space:normal;min-width:220px;overflow-wrap:anywhere}
td.r,th.r{text-align:right}tbody tr{cursor:pointer;border-bottom:1px solid var(--line)}tbody tr:hover{background:var(--box)}
tbody tr.on{background:var(--on)}tr.off{display:none}.note{color:var(--dim)}
tr.good .c{color:#15703a}tr.bad .c{color:#c11f2b}tr.request .c{color:#0b5cc4}tr.odd .c{color:#8a5a00}tr.empty .c{color:var(--dim)}
@media (prefers-color-scheme:dark){tr.good .c{color:#5fd184}tr.bad .c{color:#ff8780}tr.request .c{color:#79b8ff}tr.odd .c{color:#e0b040}}
aside{position:sticky;bottom:8px;z-index:2;max-height:44vh;overflow:auto;box-shadow:0 2px 14px #0003}
@media (min-width:1000px){main:not(.pair) aside{display:grid;grid-template-columns:1fr 1fr;gap:32px}}
@media (min-width:1240px){main.pair{grid-template-columns:minmax(0,1fr) 530px}
main.pair aside{top:16px;bottom:auto;align-self:start;max-height:calc(100vh - 32px);box-shadow:none}}
@media (max-width:640px){header,main,section{padding-left:12px;padding-right:12px}}
]]

M.SCRIPT = [=[
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const panel = document.querySelector("aside");
const arrows = new Map(), rows = new Map();
for (const g of document.querySelectorAll(".m")) arrows.set(+g.dataset.i, g);
for (const r of document.querySelectorAll("tbody tr")) rows.set(+r.dataset.i, r);
let chosen = 0;

function make(name, cls, text) {
  const e = document.createElement(name);
  if (cls) e.className = cls;
  if (text !== undefined) e.textContent = text;
  return e;
}

function heat(field, on) {
  for (const e of panel.querySelectorAll('[data-f="' + field + '"]')) e.classList.toggle("hot", on);
}

function hot(e, field) {
  e.dataset.f = field;
  e.addEventListener("mouseenter", () => heat(field, true));
  e.addEventListener("mouseleave", () => heat(field, false));
}

function fieldsOf(m) {
  const list = make("dl");
  m.f.forEach(([, , kind, name, value], i) => {
    const dt = make("dt", "k-" + kind, name), dd = make("dd", "", value);
    hot(dt, i);
    list.append(dt, dd);
  });
  return list;
}

function bytesOf(m) {
  const grid = make("div", "hex"), of = [];
  m.f.forEach(([from, length], i) => { for (let k = from; k < from + length; k++) of[k] = i; });
  for (let at = 0; at < m.h.length / 2; at += 16) {
    const hex = make("span"), seen = make("span", "s");
    for (let k = at; k < Math.min(at + 16, m.h.length / 2); k++) {
      const byte = m.h.substr(2 * k, 2), code = parseInt(byte, 16);
      const kind = of[k] === undefined ? "" : "k-" + m.f[of[k]][2];
      const a = make("b", kind, byte), z = make("b", kind, code > 31 && code < 127 ? String.fromCharCode(code) : "\u00b7");
      if (kind) { hot(a, of[k]); hot(z, of[k]); }
      hex.append(a);
      seen.append(z);
    }
    grid.append(make("span", "o", at.toString(16).padStart(4, "0")), hex, seen);
  }
  return grid;
}

function show(i) {
  const m = data[i - 1];
  if (!m) return;
  for (const map of [arrows, rows]) {
    map.get(chosen)?.classList.remove("on");
    map.get(i)?.classList.add("on");
  }
  chosen = i;
  const left = make("div"), right = make("div");
  left.append(make("h2", "", m.l), make("p", "sub", m.s));
  if (m.w) left.append(make("pre", "", m.w));
  if (m.f.length) left.append(fieldsOf(m));
  if (m.p) right.append(make("pre", "", m.p));
  if (m.h) right.append(bytesOf(m));
  if (m.c) right.append(make("p", "sub", m.c));
  panel.replaceChildren(left, right);
}

for (const [i, g] of arrows) g.addEventListener("click", () => show(i));
for (const [i, r] of rows) r.addEventListener("click", () => show(i));
document.addEventListener("keydown", (e) => {
  const step = e.key === "ArrowDown" ? 1 : e.key === "ArrowUp" ? -1 : 0;
  if (!step || e.target.tagName === "INPUT") return;
  e.preventDefault();
  let i = chosen + step;
  while (rows.get(i)?.classList.contains("off")) i += step;
  if (!rows.has(i)) return;
  show(i);
  arrows.get(i)?.scrollIntoView({ block: "nearest" });
});
document.querySelector("input").addEventListener("input", (e) => {
  const wanted = e.target.value.toLowerCase();
  for (const [i, r] of rows) {
    const off = !r.textContent.toLowerCase().includes(wanted);
    r.classList.toggle("off", off);
    arrows.get(i)?.classList.toggle("off", off);
  }
});
const first = /^#m(\d+)$/.exec(location.hash);
show(first ? +first[1] : 1);
]=]

M.HASH = "sha256-blWn7bNDrjaDmoZ3PkvJfntpxvpuTavP8V1j0MfFblw="

return M
