-- A ladder as SVG. Whatever strangers sent is text of the picture, never markup:
-- it goes through M.escape().
local label = require "copal.cli.trace.label"
local layout = require "copal.cli.trace.layout"
local message = require "copal.cli.trace.message"
local text = require "copal.cli.trace.text"

local M = {}

local TOP = 58

---- Text and numbers ------------------------------------------------------------

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

-- Any bytes as text of XML or HTML, on one line.
function M.escape(s)
  return (label.clean(s):gsub("[&<>\"']", entities))
end
local escape = M.escape

local function n(x)
  return (("%.1f"):format(x):gsub("%.0$", ""))
end

---- Colours ---------------------------------------------------------------------

-- Dark ones follow the reader's wish. No variables, for readers of SVG that are
-- no browsers.
local light = { back = "#ffffff", ink = "#1f2328", dim = "#656d76", line = "#b7bec7", box = "#f3f5f8",
  request = "#0b5cc4", good = "#15703a", bad = "#c11f2b", empty = "#656d76", odd = "#8a5a00" }
local dark = { back = "#12161c", ink = "#e6edf3", dim = "#9aa4af", line = "#4a5460", box = "#1d242d",
  request = "#79b8ff", good = "#5fd184", bad = "#ff8780", empty = "#9aa4af", odd = "#e0b040" }

local function rules(c, prefix)
  local lines = {
    (".back{fill:%s}.ink{fill:%s}.dim{fill:%s}"):format(c.back, c.ink, c.dim),
    (".life{stroke:%s}.axis{stroke:%s}.box{fill:%s;stroke:%s}"):format(c.line, c.line, c.box, c.line),
    (".halo{stroke:%s}.warn{fill:%s}"):format(c.back, c.bad),
  }
  for _, kind in ipairs { "request", "good", "bad", "empty", "odd" } do
    lines[#lines + 1] = (".%s .a{stroke:%s}.%s .h{fill:%s;stroke:%s}.%s .t{fill:%s}"):format(
      kind, c[kind], kind, c[kind], c[kind], kind, c[kind])
  end
  lines[#lines + 1] = (".open .h{fill:%s}"):format(c.back)
  return prefix .. table.concat(lines, "\n" .. prefix)
end

M.style = [[
text{font-family:ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,"Liberation Mono",monospace;font-size:13px}
.name{font-weight:600}.small{font-size:11px}.halo{stroke-width:4px;stroke-linejoin:round;paint-order:stroke}
.life{stroke-width:1.5}.axis{stroke-width:1}.a{stroke-width:1.7;fill:none}.h{stroke-width:1.4;stroke-linejoin:round}
.again .a{stroke-dasharray:6 4}.hit{stroke:transparent;stroke-width:34;fill:none;pointer-events:stroke}
]] .. rules(light, "") .. "\n@media (prefers-color-scheme:dark){\n" .. rules(dark, "") .. "\n}\n"

-- The class of a message: whose colour it has.
function M.kind(d)
  if d.kind == "refused" or d.kind == "lost" then return "bad" end
  if d.kind ~= "message" then return "odd" end
  if d.type == "RST" then return "bad" end
  if d.code == 0 then return "empty" end
  local class = message.class(d.code)
  if class == 7 then return "empty" end
  return class == 0 and "request" or class == 2 and "good" or "bad"
end

---- Parts of the picture --------------------------------------------------------

local function hosts_row(out, hosts, g, y)
  for i, x in ipairs(g.x) do
    local name, w = layout.box(hosts[i])
    out(('<rect class="box" x="%s" y="%s" width="%s" height="30" rx="7"/>'):format(n(x - w / 2), n(y), n(w)))
    out(('<text class="ink name" x="%s" y="%s" text-anchor="middle">%s<title>%s</title></text>\n'):format(
      n(x), n(y + 20), escape(name), escape(hosts[i].name)))
  end
end

-- Lifelines, with a gap and a mark where time is cut.
local function lifelines(out, rows, g)
  local cuts = {}
  for _, r in ipairs(rows) do if r.cut then cuts[#cuts + 1] = r.cut end end
  for _, x in ipairs(g.x) do
    local from = g.top
    for _, cut in ipairs(cuts) do
      out(('<path class="life" d="M%s %sV%s"/>'):format(n(x), n(from), n(cut.y - 7)))
      out(('<path class="life" d="M%s %sl14 -6M%s %sl14 -6"/>'):format(n(x - 7), n(cut.y - 1), n(x - 7), n(cut.y + 7)))
      from = cut.y + 7
    end
    out(('<path class="life" d="M%s %sV%s"/>\n'):format(n(x), n(from), n(g.bottom)))
  end
  for _, cut in ipairs(cuts) do
    out(('<text class="dim small" x="%s" y="%s" text-anchor="end">%s</text>\n'):format(
      n(g.axis - 10), n(cut.y + 4), "+" .. text.duration(math.floor(cut.ms * 1000000))))
  end
end

local function time_label(out, r, before, g, format)
  local shown = format:format(r.ms)
  if before and format:format(before.ms) == shown then return end
  out(('<text class="dim small" x="%s" y="%s" text-anchor="end">%s</text>'):format(
    n(g.axis - 10), n(r.y + 4), shown))
  out(('<path class="axis" d="M%s %sh6"/>'):format(n(g.axis - 4), n(r.y)))
end

-- Words on a slope above (or below) the middle of an arrow.
local function words(class, x, y, angle, dy, inner)
  return ('<text class="%s" transform="translate(%s %s) rotate(%s)" y="%s" text-anchor="middle">%s</text>')
    :format(class, n(x), n(y), ("%.2f"):format(angle), dy, inner)
end

local function label_of(parts, room)
  local line, ids = label.line(parts), parts.ids
  local with_ids = ids ~= "" and room - #ids - 2 >= math.min(label.width(line), 12)
  if with_ids then
    return ('<tspan class="t">%s</tspan><tspan class="dim small" dx="10">%s</tspan>'):format(
      escape(label.cut(line, room - #ids - 2)), escape(ids))
  end
  return ('<tspan class="t">%s</tspan>'):format(escape(label.cut(line, room)))
end

-- Everything about a message, for who points at it.
local function title_of(r)
  local d = r.d
  local lines = { label.line(r.parts), d.from .. " to " .. d.to .. ", " .. d.size .. " bytes" }
  if #r.notes > 0 then lines[#lines + 1] = table.concat(r.notes, ", ") end
  for i, part in ipairs(lines) do lines[i] = escape(part) end
  return table.concat(lines, "\n")
end

local function loop(out, x, r)
  out(('<path class="a" d="M%s %sh26v%sh-20"/><path class="h" d="M%s %sl9 -4v8z"/>'):format(
    n(x), n(r.y), n(r.drop), n(x), n(r.y + r.drop)))
end

local function arrow(out, r, g, i, format, before)
  local d = r.d
  local classes = { "m", M.kind(d), d.again and "again" or nil }
  if d.open then classes[#classes + 1] = "open" end
  local x1, x2 = g.x[r.from], g.x[r.to]
  local y1, y2 = r.y, r.y + r.drop
  out(('<g class="%s" data-i="%d"><title>%s</title>'):format(table.concat(classes, " "), i, title_of(r)))
  time_label(out, r, before, g, format)
  if x1 == x2 then
    loop(out, x1, r)
    out(('<text class="halo" x="%s" y="%s">%s</text></g>\n'):format(n(x1 + 36), n(y1 + 8), label_of(r.parts, 30)))
    return
  end
  local length, sign = math.abs(x2 - x1), x2 > x1 and 1 or -1
  local angle = math.deg(math.atan(r.drop / length)) * sign
  local tip = x2 - sign * 1.5
  out(('<path class="hit" d="M%s %sL%s %s"/>'):format(n(x1), n(y1), n(x2), n(y2)))
  out(('<path class="a" d="M%s %sL%s %s"/>'):format(n(x1), n(y1), n(x2 - sign * 9), n(y2 - r.drop * 9 / length)))
  out(('<path class="h" transform="translate(%s %s) rotate(%s)" d="M0 0L%d -4.5V4.5z"/>'):format(
    n(tip), n(y2), ("%.2f"):format(angle), -sign * 10))
  local room = math.floor((length - 36) / layout.ADVANCE)
  local mx, my = (x1 + x2) / 2, (y1 + y2) / 2
  out(words("halo", mx, my, angle, -6, label_of(r.parts, room)))
  if #r.notes > 0 then
    local note = label.cut(table.concat(r.notes, ", "), math.floor((length - 36) / 6.8))
    out(words(("halo small " .. ((d.open or d.why) and "warn" or "dim")), mx, my, angle, 15, escape(note)))
  end
  out("</g>\n")
end

local legend = { { "request", "request" }, { "good", "2.xx" }, { "bad", "4.xx, 5.xx, RST" },
  { "empty", "empty" }, { "empty again", "sent again" } }

local function foot(out, g, remarks)
  local x, y = g.axis + 6, g.bottom + 50
  for _, row in ipairs(legend) do
    out(('<g class="%s"><path class="a" d="M%s %sh24"/></g><text class="dim small" x="%s" y="%s">%s</text>\n'):format(
      row[1], n(x), n(y - 4), n(x + 30), n(y), row[2]))
    x = x + 30 + #row[2] * 6.8 + 20
  end
  for i, remark in ipairs(remarks) do
    local line = label.cut(remark, math.floor((g.width - g.axis - 20) / 6.8))
    out(('<text class="dim small" x="%s" y="%s">%s</text>\n'):format(n(g.axis + 6), n(y + 20 * i), escape(line)))
  end
  return y + 20 * #remarks + 16
end

---- The whole -------------------------------------------------------------------

-- What the picture leaves out, in sentences.
function M.left_out(left_out, far)
  local list = {}
  if left_out > 0 then
    list[1] = left_out .. " more messages: -C N shows more, --follow, --path and --host fewer"
  end
  if far > 0 then list[#list + 1] = far .. " messages of further hosts: --host ADDRESS shows them" end
  return list
end

local function open_svg(out, width, height, title, style)
  out(('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="%s" height="%s" role="img" aria-label="%s"%s>\n')
    :format(n(width), n(height), n(width), n(height), escape(title), style))
end

local function head(put, hosts, g)
  put(('<text class="dim small" x="%s" y="39" text-anchor="end">ms</text>'):format(n(g.axis - 10)))
  hosts_row(put, hosts, g, TOP - 40)
end

-- The picture of rows (copal.cli.trace.layout) as one svg element. style: with
-- its own, which a page has already. apart: two, the first with the names of the
-- hosts, which a page keeps in sight. Returns its width.
function M.draw(rows, hosts, out, options)
  local g = layout.place(rows, hosts, options.apart and 4 or TOP)
  local body = {}
  local function put(s) body[#body + 1] = s end
  local format = options.has_fractions and "%.1f" or "%.0f"
  if not options.apart then head(put, hosts, g) end
  lifelines(put, rows, g)
  for i, r in ipairs(rows) do arrow(put, r, g, i, format, rows[i - 1]) end
  hosts_row(put, hosts, g, g.bottom)
  local height = foot(put, g, options.remarks or {})
  -- A page may show it somewhat larger or smaller, as long as one can read it.
  local style = options.apart
    and (' style="min-width:%dpx;max-width:%dpx"'):format(g.width * 0.66 // 1, g.width * 1.25 // 1) or ""
  if options.apart then
    open_svg(out, g.width, TOP - 8, "hosts", style)
    out(('<rect class="back" width="%s" height="%s"/>\n'):format(n(g.width), n(TOP - 8)))
    head(out, hosts, g)
    out("</svg>\n")
  end
  open_svg(out, g.width, height, "CoAP messages as a ladder", style)
  if options.style then out("<style>" .. M.style .. "</style>\n") end
  out(('<rect class="back" width="%s" height="%s"/>\n'):format(n(g.width), n(height)))
  out(table.concat(body))
  out("</svg>\n")
  return g.width
end

function M.write(ladder, out, count)
  local rows, left_out, far = layout.collect(ladder, count)
  out('<?xml version="1.0" encoding="UTF-8"?>\n')
  M.draw(rows, ladder.hosts, out, { style = true, has_fractions = ladder.has_fractions,
    remarks = M.left_out(left_out, far) })
  return #rows
end

return M
