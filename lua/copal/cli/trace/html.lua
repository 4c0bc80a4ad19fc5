-- A ladder as one page of HTML without anything from elsewhere: the picture, a
-- table of its messages, and the fields and bytes of the one that is pointed at.
local fields = require "copal.cli.trace.fields"
local json = require "copal.json"
local label = require "copal.cli.trace.label"
local layout = require "copal.cli.trace.layout"
local page = require "copal.cli.trace.page"
local svg = require "copal.cli.trace.svg"
local text = require "copal.cli.text"
local ladder_text = require "copal.cli.trace.text"

local M = {}

local escape = svg.escape

-- Lines stay lines; all else that steers is shown.
local function clean_lines(s)
  local lines = {}
  for line in (s .. "\n"):gmatch("([^\n]*)\n") do lines[#lines + 1] = label.clean((line:gsub("\t", "    "))) end
  return table.concat(lines, "\n")
end

-- The payload as text; nil: it is none.
local function payload_text(d)
  if not d.payload or d.payload == "" or not utf8.len(d.payload) then return nil end
  if d.payload:find("[%z\1-\8\11\12\14-\31\127]") then return nil end
  return clean_lines(d.payload) .. (d.payload_size > #d.payload and "..." or "")
end

local function details(r)
  local d = r.d
  local sub = ("%s to %s, packet %d, %s, %d bytes"):format(d.from, d.to, d.number, r.time .. " ms", d.size)
  if #r.notes > 0 and not d.why then sub = sub .. ", " .. table.concat(r.notes, ", ") end
  return { l = label.line(r.parts), s = (label.clean(sub)), w = d.why and (label.clean(d.why)) or nil,
    f = require "copal.data".array(fields.of(d)), p = payload_text(d), h = d.data and text.hex(d.data) or "",
    c = d.data and d.kind == "message" and d.size > #d.data
      and ("the first %d of %d bytes"):format(#d.data, d.size) or nil }
end

-- What "<" and "&" mean in a script they do not mean as \u003c.
local function data_of(rows)
  local list = {}
  for i, r in ipairs(rows) do
    list[i] = json.encode(details(r)):gsub("[<>&]", function(c) return ("\\u%04x"):format(c:byte()) end)
  end
  return "[" .. table.concat(list, ",\n") .. "]"
end

local function table_row(r, i)
  local d = r.d
  local what = r.parts.more
  if r.parts.payload ~= "" then what = what .. (what ~= "" and " " or "") .. r.parts.payload end
  local function cell(class, s) return ('<td class="%s">%s</td>'):format(class, escape(s)) end
  return table.concat { ('<tr class="%s" data-i="%d">'):format(svg.kind(d), i), cell("r", tostring(d.number)),
    cell("r", r.time), cell("", d.from), cell("", d.to), cell("c", r.parts.head), cell("w c", what),
    cell("c", d.mid and ("%04x"):format(d.mid) or ""), cell("c", d.token and text.hex(d.token:sub(1, 8)) or ""),
    cell("r", tostring(d.size)), cell("w note", table.concat(r.notes, ", ")), "</tr>\n" }
end

local heads = { { "r", "#" }, { "r", "ms" }, { "", "From" }, { "", "To" }, { "", "Message" }, { "", "Options, payload" },
  { "", "Id" }, { "", "Token" }, { "r", "Bytes" }, { "", "Remark" } }

local function write_table(out, rows)
  out "<section><table><thead><tr>"
  for _, h in ipairs(heads) do out(('<th class="%s">%s</th>'):format(h[1], h[2])) end
  out "</tr></thead><tbody>\n"
  for i, r in ipairs(rows) do out(table_row(r, i)) end
  out "</tbody></table></section>\n"
end

local function summary(ladder, rows)
  local again, open, last = 0, 0, rows[#rows]
  for _, r in ipairs(rows) do
    if r.d.again then again = again + 1 end
    if r.d.open == "answer" then open = open + 1 end
  end
  local parts = { #rows .. (#rows == 1 and " message" or " messages"), #ladder.hosts .. " hosts",
    "in " .. ladder_text.duration(math.floor((last and last.ms or 0) * 1000000)) }
  if again > 0 then parts[#parts + 1] = again .. " sent again" end
  if open > 0 then parts[#parts + 1] = open .. " without an answer" end
  return table.concat(parts, ", ")
end

function M.write(ladder, out, count, path)
  local rows, left_out, far = layout.collect(ladder, count)
  local name = label.clean(path:match("[^/]+$") or path)
  local format = ladder.has_fractions and "%.1f" or "%.0f"
  for _, r in ipairs(rows) do r.time = format:format(r.ms) end
  out('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n')
  out('<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'; script-src \''
    .. page.HASH .. '\'; base-uri \'none\'; form-action \'none\'">\n')
  out('<meta name="viewport" content="width=device-width,initial-scale=1">\n')
  out("<title>" .. escape(name) .. " - copal trace</title>\n<style>\n" .. page.STYLE .. svg.style .. "</style></head><body>\n")
  out("<header><h1>" .. escape(name) .. "</h1><p>" .. escape(summary(ladder, rows))
    .. '</p><input type="search" placeholder="Filter: path, code, token" aria-label="Filter messages"></header>\n')
  out(#ladder.hosts <= 2 and '<main class="pair"><figure>\n' or "<main><figure>\n")
  svg.draw(rows, ladder.hosts, out, { apart = true, has_fractions = ladder.has_fractions,
    remarks = svg.left_out(left_out, far) })
  out "</figure><aside aria-live=\"polite\"></aside></main>\n"
  write_table(out, rows)
  out('<script type="application/json" id="data">' .. data_of(rows) .. "</script>\n")
  out("<script>" .. page.SCRIPT .. "</script>\n</body></html>\n")
  return #rows
end

return M
