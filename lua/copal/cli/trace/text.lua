-- A ladder of text: a column for each of two hosts with arrows that carry their
-- messages; for a few more bare arrows with the messages beside them; for many
-- their names instead.
local label = require "copal.cli.trace.label"
local message = require "copal.cli.trace.message"

local M = {}

local TIME = 9 -- columns
local MOST_COLUMNS = 6
local LABEL = 34 -- columns that stay for messages beside bare arrows, at least

-- What is remarkable about d, a list: "no answer", "again +2.31 s", "41 ms".
function M.note(d)
  local list = {}
  if d.again then
    list[1] = "again +" .. M.duration(d.after)
  end
  if d.open then table.insert(list, 1, d.open == "ack" and "never acked" or "no answer") end
  if d.again then
    return list
  elseif d.kind == "message" and d.code ~= 0 then
    if d.is_separate then list[#list + 1] = "separate" end
    if d.is_stray then list[#list + 1] = "nobody asked" end
    if d.took and d.took > 0 then list[#list + 1] = M.duration(d.took) end
  end
  return list
end

-- The first notes, as many as n columns hold.
local function fitting(notes, n)
  local line = table.concat(notes, ", ")
  while #line > n and #notes > 1 do
    table.remove(notes)
    line = table.concat(notes, ", ")
  end
  if #line > n then line = line:gsub(" %+.*", "") end
  return label.cut(line, math.max(n, 0))
end

function M.duration(ns)
  local ms = ns / 1000000
  if ms >= 10000 then return ("%.1f s"):format(ms / 1000) end
  if ms >= 1000 then return ("%.2f s"):format(ms / 1000) end
  if ms >= 10 or ms == math.floor(ms) then return ("%.0f ms"):format(ms) end
  return ("%.1f ms"):format(ms)
end

-- A colour of copal.cli.text; nil: none.
function M.colour(d)
  if d.kind ~= "message" or d.open then return "bad" end
  if d.type == "RST" then return "bad" end
  if d.again or d.code == 0 then return "dim" end
  local class = message.class(d.code)
  if class == 2 then return "good" end
  if class == 4 or class == 5 then return "bad" end
end

local width_of = label.width

local function padded(s, n)
  return s .. (" "):rep(n - width_of(s))
end

---- Two hosts -------------------------------------------------------------------

local function arrow(d, is_right, room)
  local parts = label.parts(d)
  local ids = parts.ids ~= "" and room >= 34 and parts.ids .. " " or ""
  local tail, head = is_right and "-- " or "<-- ", is_right and "-->" or "--"
  local free = room - #tail - #head - #ids - 1
  local line = label.line(parts, free)
  local dashes = free - width_of(line)
  local filling = dashes > 1 and ("-"):rep(dashes - 1) .. " " or (" "):rep(dashes)
  return tail .. line .. " " .. filling .. ids .. head
end

local Two = {}

function Two.begin(self)
  local left, right = self.hosts[1].name, (self.hosts[2] or self.hosts[1]).name
  local notes = self.width >= 90 and 28 or self.width >= 72 and 16 or self.width >= 60 and 13 or 9
  self.room = math.max(16, self.width - TIME - 2 - notes - 2)
  local half = self.room // 2
  left, right = label.cut(left, half), label.cut(right, half)
  return padded("  t(ms)  ", TIME) .. padded(left, self.room + 2 - width_of(right)) .. right
end

function Two.line(self, d)
  local is_right = d.from == self.hosts[1].name
  return "|" .. arrow(d, is_right, self.room) .. "|"
end

---- A few hosts -----------------------------------------------------------------

local Few = {}

-- Columns from one host to the next; nil: they do not fit.
local function pitch_of(hosts, width)
  local pitch = 8
  for _, h in ipairs(hosts) do pitch = math.max(pitch, math.min(label.width(h.name) + 1, 24)) end
  return TIME + #hosts * pitch + LABEL <= width and pitch or nil
end

function Few.begin(self)
  self.pitch = pitch_of(self.hosts, self.width)
  local names = {}
  for i, h in ipairs(self.hosts) do
    names[i] = padded(label.cut(h.name, self.pitch - 1), self.pitch)
  end
  return padded("  t(ms)  ", TIME) .. table.concat(names)
end

function Few.line(self, d, note)
  local row, pitch = {}, self.pitch
  for x = 1, (#self.hosts - 1) * pitch + 1 do row[x] = (x - 1) % pitch == 0 and "|" or " " end
  local from, to = self.column[d.from], self.column[d.to]
  if from and to then
    local a, b = (from - 1) * pitch + 1, (to - 1) * pitch + 1
    for x = math.min(a, b) + 1, math.max(a, b) - 1 do row[x] = "-" end
    if a < b then row[b - 1] = ">" elseif a > b then row[b + 1] = "<" end
  end
  local parts = label.parts(d)
  local lanes = table.concat(row) .. "  "
  local what = label.line(parts, self.width - TIME - #lanes - #parts.ids - 1 - note)
  return lanes .. what .. (parts.ids ~= "" and " " .. parts.ids or "")
end

---- Many ------------------------------------------------------------------------

local Many = {}

function Many.begin()
  return "  t(ms)  from > to, message"
end

function Many.line(self, d, note)
  local parts = label.parts(d)
  local ends = d.from .. " > " .. d.to .. "  "
  local ids = self.width >= 60 and parts.ids ~= "" and " " .. parts.ids or ""
  local room = self.width - TIME - note
  return label.cut(ends .. label.line(parts, math.max(12, room - width_of(ends) - #ids)) .. ids, room)
end

---- All of it -------------------------------------------------------------------

-- Writes the ladder by out(text). width: of the terminal; paint: as that of
-- copal.cli.text. Returns how many messages it has; count: at most so many.
function M.write(ladder, out, width, paint, count)
  local n = #ladder.hosts
  local way = n <= 2 and Two or n <= MOST_COLUMNS and pitch_of(ladder.hosts, width) and Few or Many
  local self = { hosts = ladder.hosts, width = width, column = {} }
  for i, h in ipairs(ladder.hosts) do self.column[h.name] = i end
  if n == 0 then return 0 end
  out((paint("bold", (way.begin(self):gsub(" +$", ""))) .. "\n"))
  local time = ladder.has_fractions and "%7.1f  " or "%7.0f  "
  local shown = 0
  ladder:each(function(d)
    local colour, notes = M.colour(d), M.note(d)
    local line = way.line(self, d, #notes == 0 and 0 or #table.concat(notes, ", ") + 2)
    local note = fitting(notes, width - TIME - width_of(line) - 2)
    if colour then line = paint(colour, line) end
    if note ~= "" then line = line .. "  " .. (colour == "bad" and paint("bad", note) or paint("dim", note)) end
    out(time:format(d.ms) .. line .. "\n")
    if d.why then out((" "):rep(TIME) .. paint("bad", "  " .. label.clean(d.why)) .. "\n") end
    shown = shown + 1
    return not count or shown < count
  end)
  return shown
end

return M
