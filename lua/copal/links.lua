-- Link format (RFC 6690): the list of resources a server offers.
local M = {}

local List = {}
List.__index = List

-- Value of an attribute at i: a quoted text, where "\x" stands for x, or
-- whatever runs to the next separator.
local function read_value(s, i)
  if s:sub(i, i) ~= '"' then
    local raw, after = s:match("^([^;,]*)()", i)
    return raw:match("^.*%S") or "", after
  end
  local out, j = {}, i + 1
  while true do
    local c = s:sub(j, j)
    if c == "" then return nil end
    if c == '"' then return table.concat(out), j + 1 end
    if c == "\\" then
      j = j + 1
      c = s:sub(j, j)
    end
    out[#out + 1] = c
    j = j + 1
  end
end

local function read_link(s, i)
  local href, j = s:match("^%s*<([^>]*)>()", i)
  if not href then return nil end
  local link = { href = href, names = {} }
  while true do
    local name, after = s:match("^%s*;%s*([^%s=;,]+)%s*()", j)
    if not name then return link, s:match("^%s*()", j) end
    local value = true
    j = after
    if s:sub(j, j) == "=" then
      value, j = read_value(s, s:match("^=%s*()", j))
      if not value then return nil end
    end
    -- The first of a name counts, others of the same are ignored.
    if link[name] == nil then
      link[name] = value
      link.names[#link.names + 1] = name
    end
  end
end

-- The link format again: numbers as they are, other values quoted.
local function link_text(link)
  local parts = { "<" .. link.href .. ">" }
  for _, name in ipairs(link.names) do
    local v = link[name]
    if v ~= true and not v:match("^%d+$") then
      v = '"' .. v:gsub('[\\"]', "\\%0") .. '"'
    end
    parts[#parts + 1] = v == true and name or name .. "=" .. v
  end
  return table.concat(parts, ";")
end

function List:__tostring()
  local out = {}
  for i, link in ipairs(self) do out[i] = link_text(link) end
  return table.concat(out, ",")
end

-- A list of { href = "/t", rt = "temperature", obs = true, names = { "rt",
-- "obs" } }, or nil and what is wrong.
function M.parse(text)
  local list, i = setmetatable({}, List), 1
  if text:match("^%s*$") then return list end
  while true do
    local link, j = read_link(text, i)
    if not link then return nil, "link format not understood at byte " .. i end
    list[#list + 1] = link
    if j > #text then return list end
    if text:sub(j, j) ~= "," then
      return nil, "link format not understood at byte " .. j
    end
    i = j + 1
  end
end

-- A link's whole URI, relative to who told it. RFC 6690 2.1, RFC 7252 8.2.
function M.resolve(base, href)
  if href:match("^%a[%w+.-]*:") then return href end
  if href:match("^//") then return base:match("^[^:]*:") .. href end
  return base .. (href:sub(1, 1) == "/" and "" or "/") .. href
end

local function has_word(value, wanted)
  if wanted == true then return value ~= nil end
  if type(value) ~= "string" then return false end
  local prefix = wanted:match("^(.*)%*$")
  for word in value:gmatch("%S+") do
    if word == wanted or prefix and word:sub(1, #prefix) == prefix then
      return true
    end
  end
  return false
end

-- Those links whose attributes have all of the wanted values; a value may end
-- in "*". list:filter { rt = "temperature", obs = true }
function List:filter(wanted)
  local out = setmetatable({}, List)
  for _, link in ipairs(self) do
    local fits = true
    for name, value in pairs(wanted) do
      fits = fits and has_word(link[name],
        value == true and true or tostring(value))
    end
    if fits then out[#out + 1] = link end
  end
  return out
end

return M
