-- Where everything stands in a picture of a ladder. Time runs down the page: a
-- message has at least the room that its text needs, what lies between two grows
-- with time, and a long silence is cut short.
local label = require "copal.cli.trace.label"
local text = require "copal.cli.trace.text"

local M = {}

M.MOST_ROWS = 1000 -- unless --count says otherwise
local MOST_COLUMNS = 8
local KEPT = 2048 -- bytes of a datagram that are shown

local AXIS = 84 -- px: where the times stand
local MARGIN = 56 -- from a lifeline to the edge, at least: half the box with its name
local ROW, NOTE, STRETCH, CUT = 40, 15, 30, 44
local SILENCE = 1000 -- ms without anything that are cut short, at least
M.ADVANCE = 7.9 -- px a character of a label takes, at most

-- px from one lifeline to the next: as much as the longest label wants, but
-- no less and no more than this.
local NARROWEST, WIDEST = 280, 440
local PAIR_NARROWEST, PAIR_WIDEST = 420, 680

---- Rows ------------------------------------------------------------------------

-- What a picture shows of each message, and no more: { d, parts, notes, ms,
-- from, to (columns) }. Second: how many there are besides.
function M.collect(ladder, count)
  local most = count or M.MOST_ROWS
  local column, rows, left_out, far = {}, {}, 0, 0
  for i, h in ipairs(ladder.hosts) do column[h.name] = i <= MOST_COLUMNS and i or nil end
  ladder:each(function(d)
    local from, to = column[d.from], column[d.to]
    if not from or not to then
      far = far + 1
    elseif #rows >= most then
      left_out = left_out + 1
    else
      local row = { d = d, parts = label.parts(d), notes = text.note(d), ms = d.ms, from = from, to = to }
      if d.payload then d.payload_size, d.payload = #d.payload, d.payload:sub(1, KEPT) end
      if d.data then d.data = d.data:sub(1, KEPT) end
      if d.why then row.notes = { (label.clean(d.why)) } end
      d.group = d.group and { id = d.group.id }
      d.about, d.first, d.request = nil, nil, nil
      rows[#rows + 1] = row
    end
  end)
  return rows, left_out, far
end

---- Geometry --------------------------------------------------------------------

local function pitch_of(rows, columns)
  local wanted = 0
  for _, r in ipairs(rows) do
    local spans = math.max(1, math.abs(r.from - r.to))
    local chars = label.width(label.line(r.parts)) + #r.parts.ids + 2
    wanted = math.max(wanted, (chars * M.ADVANCE + 44) / spans)
  end
  if columns <= 2 then return math.max(PAIR_NARROWEST, math.min(PAIR_WIDEST, wanted)) end
  return math.max(NARROWEST, math.min(WIDEST, wanted))
end

-- The box with a host's name: its text and width.
function M.box(host)
  local name = label.cut(host.name, 28)
  return name, math.max(88, label.width(name) * M.ADVANCE + 24)
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

-- Half the quickest answer between each two hosts, ms: how long a way takes.
local function ways_of(rows)
  local ways = {}
  for _, r in ipairs(rows) do
    local ns = r.d.rtt or r.d.took
    if ns and ns >= 0 then
      local key = math.min(r.from, r.to) * 100 + math.max(r.from, r.to)
      ways[key] = math.min(ways[key] or math.huge, ns / 2000000)
    end
  end
  return function(r) return ways[math.min(r.from, r.to) * 100 + math.max(r.from, r.to)] end
end

-- px for a pause of so many ms; second: it is cut short.
local function stretch(ms, typical)
  if ms <= 0 then return 0, false end
  if ms >= math.max(SILENCE, typical * 8) then return CUT, true end
  return math.min(STRETCH, 12 * ms / typical), false
end

-- Fills of each row y, drop (how far it falls on its way) and cut ({ y, ms }: a
-- silence above it). Returns { width, height, top, bottom, x (of each column) }.
function M.place(rows, hosts, top)
  local columns = math.min(#hosts, MOST_COLUMNS)
  local pitch, margin = pitch_of(rows, columns), MARGIN
  local g = { x = {}, top = top, axis = AXIS }
  for i = 1, columns do
    local _, width = M.box(hosts[i])
    margin, pitch = math.max(margin, width / 2 + 6), math.max(pitch, width + 20)
  end
  for i = 1, columns do g.x[i] = AXIS + margin + (i - 1) * pitch end
  g.width = g.x[#g.x] + margin + 14
  if columns == 1 then g.width = g.width + pitch / 2 end

  local pauses = {}
  for i = 2, #rows do
    local ms = rows[i].ms - rows[i - 1].ms
    if ms > 0 then pauses[#pauses + 1] = ms end
  end
  local typical = math.max(median(pauses) or 1, 0.001)
  local way, y = ways_of(rows), top + 34
  for i, r in ipairs(rows) do
    if i > 1 then
      local more, is_cut = stretch(r.ms - rows[i - 1].ms, typical)
      if is_cut then r.cut = { y = y + rows[i - 1].drop + CUT / 2 + 2, ms = r.ms - rows[i - 1].ms } end
      y = y + ROW + more + (#rows[i - 1].notes > 0 and NOTE or 0)
    end
    local ms = way(r)
    r.y, r.drop = y, ms and math.max(8, math.min(24, 6 + 12 * ms / typical)) or 10
  end
  g.bottom = #rows > 0 and y + rows[#rows].drop + 34 or top + 40
  return g
end

return M
