-- Payloads for people and for programs: how each kind of Content-Format is
-- shown as text and as JSON.
local data = require "copal.data"
local cbor = require "copal.cbor"
local core = require "copal_core"
local json = require "copal.json"
local senml = require "copal.senml"
local text = require "copal.cli.text"
local value = require "copal.value"

local M = {}

-- "json", "cbor", "links", ...; nil: not known.
function M.kind(m)
  return m.format and value.kind(m.format)
end

---- Link format ---------------------------------------------------------------

function M.link_lines(links)
  local lines = {}
  for _, link in ipairs(links) do
    local words = { "<" .. link.href .. ">" }
    for _, name in ipairs(link.names) do
      local v = link[name]
      words[#words + 1] = v == true and name or name .. "=" .. v
    end
    lines[#lines + 1] = table.concat(words, "  ")
  end
  return text.visible(table.concat(lines, "\n"))
end

function M.link_table(links)
  local out = data.array()
  for i, link in ipairs(links) do
    out[i] = data.object { href = link.href }
    for _, name in ipairs(link.names) do out[i][name] = link[name] end
  end
  return out
end

---- SenML ---------------------------------------------------------------------

local ABSOLUTE = 2 ^ 28 -- seconds; less is relative to now, RFC 8428 4.5.3

local function time_text(t)
  if t == 0 then return nil end
  if t < ABSOLUTE then return string.format("%+.14g s", t) end
  local whole = math.floor(t)
  local fraction = string.format("%.3f", t - whole):gsub("^0", ""):gsub("%.?0+$", "")
  if fraction:find "^1" then whole, fraction = whole + 1, "" end
  local ok, date = pcall(os.date, "!%Y-%m-%dT%H:%M:%S", whole)
  return ok and date .. fraction .. "Z" or string.format("%.14g", t)
end

local function value_text(r)
  if r.vd then return "0x" .. text.hex(r.vd) end
  if type(r.value) == "number" then return string.format("%.14g", r.value) end
  if r.value == nil then return "" end
  return type(r.value) == "string" and '"' .. r.value .. '"' or tostring(r.value)
end

-- What all names begin with, up to and with a ":" or "/".
local function common_base(records)
  local first = records[1].name
  local len = #first - 1
  for _, r in ipairs(records) do
    local low, high = 0, math.min(len, #r.name - 1)
    if r.name:sub(1, high) == first:sub(1, high) then low = high end
    while low < high do
      local middle = (low + high + 1) // 2
      if r.name:sub(1, middle) == first:sub(1, middle) then low = middle else high = middle - 1 end
    end
    len = low
  end
  return first:sub(1, len):match("^.*[:/]") or ""
end

local function common_time(records)
  local t = records[1].time
  for _, r in ipairs(records) do
    if r.time ~= t then return nil end
  end
  return t
end

local function cells(r, base, at_once)
  local words = { r.unit }
  if r.sum then words[#words + 1] = "sum " .. string.format("%.14g", r.sum) end
  if not at_once then words[#words + 1] = time_text(r.time) end
  if r.update_time then words[#words + 1] = string.format("every %.14g s", r.update_time) end
  -- As it is shown: string.format takes no NUL where it pads.
  return { text.visible(r.name:sub(#base + 1)), text.visible(value_text(r)), table.concat(words, "  ") }
end

-- A header with what the records have in common, then a line each.
function M.senml_table(records)
  if #records == 0 then return "" end
  local base, at_once = common_base(records), common_time(records)
  local head = { "┌" }
  if base ~= "" then head[#head + 1] = "base " .. base end
  head[#head + 1] = at_once and time_text(at_once)
  local lines, wide, wide_value = {}, 1, 1
  local rows = {}
  for i, r in ipairs(records) do
    rows[i] = cells(r, base, at_once)
    wide = math.max(wide, #rows[i][1])
    wide_value = math.max(wide_value, #rows[i][2])
  end
  if #head > 1 then
    lines[1] = head[1] .. " " .. table.concat(head, "   ", 2)
  end
  -- string.format pads 99 columns at most.
  local line = "│ %-" .. math.min(wide, 60) .. "s   %-" .. math.min(wide_value, 40) .. "s %s"
  for _, row in ipairs(rows) do
    lines[#lines + 1] = text.trimmed(line:format(row[1], row[2], row[3]))
  end
  return text.visible(table.concat(lines, "\n"))
end

---- Problem details -----------------------------------------------------------

-- One as lines: title and detail, then what else there is.
function M.problem_lines(p)
  local lines = { tostring(p) }
  if p.instance and (p.title or p.detail) then
    lines[#lines + 1] = "instance: " .. p.instance
  end
  for _, n in ipairs(p.options or {}) do
    lines[#lines + 1] = "option: " .. (core.name(core.OPTIONS, n) or n)
  end
  local others = {}
  for key, v in pairs(p.entries) do
    others[#others + 1] = tostring(key) .. ": " .. cbor.diagnostic(cbor.encode(v))
  end
  table.sort(others)
  for _, line in ipairs(others) do lines[#lines + 1] = line end
  for i, line in ipairs(lines) do lines[i] = text.visible(line) end
  return lines
end

---- By kind --------------------------------------------------------------------

local function sequence(kind)
  return kind == "cbor-seq"
end

local function diagnostic(m, indent)
  return cbor.diagnostic(m.payload,
    { indent = indent, sequence = sequence(M.kind(m)) })
end

-- Diagnostic notation on one line; nil, what is wrong.
function M.diagnostic(m)
  return diagnostic(m, false)
end

-- The table of a SenML payload; nil, what is wrong.
function M.senml(m)
  local records, why = m:senml()
  if not records then return nil, why end
  return M.senml_table(records)
end

local pretty = {}

function pretty.json(m)
  local v, why = m:json()
  if v == nil then return nil, why end
  return json.encode(v, true)
end

function pretty.links(m)
  local links, why = m:links()
  if not links then return nil, why end
  return M.link_lines(links)
end

function pretty.cbor(m)
  local s, why = diagnostic(m, true)
  if not s then return nil, why end
  return text.visible(s)
end
pretty["cbor-seq"] = pretty.cbor
pretty["senml+json"] = M.senml
pretty["senml+cbor"] = M.senml

-- Text for a terminal, if the payload is of a kind that is known and decodes.
function M.pretty(m)
  local show = pretty[M.kind(m)]
  return show and show(m)
end

-- As a value that JSON can hold; nil, what is wrong. A payload of no known
-- kind is taken for JSON if otherwise is nil, else handed to that.
function M.for_json(m, otherwise)
  local kind = M.kind(m)
  local v, why
  if kind == "links" then
    v, why = m:links()
    return v and M.link_table(v), why
  elseif kind == "senml+cbor" then
    v, why = m:senml()
    return v and senml.pack(v, "json"), why
  elseif kind == "cbor" or kind == "cbor-seq" then
    v, why = m:cbor { exact = true, sequence = sequence(kind) }
    if v == nil then return nil, why end
    return data.for_json(v)
  elseif kind == "json" or kind == "senml+json" or not otherwise then
    return m:json()
  end
  return otherwise(m)
end

return M
