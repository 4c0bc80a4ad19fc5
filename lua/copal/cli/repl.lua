-- Bare "copal" on a terminal: Lua, line by line, with everything of copal at
-- hand. What waits, waits: no coroutines needed. While a line is being typed
-- what serves or observes in the background goes on.
local copal = require "copal"
local core = require "copal_core"
local errors = require "copal.error"
local exit = require "copal.cli.exit"
local line = require "copal.line"
local loop = require "copal.loop"
local message = require "copal.message"
local visible = require "copal.cli.text".visible

local M = {}

-- Everything global, and copal's own names: get "coap://localhost/time".
local env = setmetatable({ copal = copal }, { __index = function(_, key)
  local v = _G[key]
  if v == nil then v = copal[key] end
  return v
end })

---- Completion ----------------------------------------------------------------

local function keys_of(value)
  local list = {}
  if type(value) == "string" then value = string end
  while type(value) == "table" do
    for key in pairs(value) do
      if type(key) == "string" then list[#list + 1] = key end
    end
    local meta = getmetatable(value)
    value = type(meta) == "table" and rawget(meta, "__index")
  end
  return list
end

local function names_at(path)
  if path == "" then
    local list = keys_of(_G)
    for _, source in ipairs { copal, env } do
      for _, key in ipairs(keys_of(source)) do list[#list + 1] = key end
    end
    return list
  end
  local value = env
  for name in path:gmatch("[%w_]+") do
    if type(value) ~= "table" then return {} end
    value = value[name]
  end
  return keys_of(value)
end

-- What word may become: names, and those after "." and ":".
function M.complete(word)
  local path, mark, start = word:match("^(.-)([.:]?)([%w_]*)$")
  local list, seen = {}, {}
  for _, name in ipairs(names_at(path)) do
    if name:sub(1, #start) == start and name:match("^[%a_][%w_]*$") and not seen[name] then
      seen[name] = true
      list[#list + 1] = path .. mark .. name
    end
  end
  table.sort(list)
  return list
end

---- Evaluation ----------------------------------------------------------------

local function shown(v)
  if message.is(v) and v.payload ~= "" and utf8.len(v.payload) then
    return tostring(v) .. "\n" .. v.payload
  elseif type(v) == "table" and not (getmetatable(v) or {}).__tostring then
    local ok, text = pcall(copal.json.encode, v)
    return ok and text or tostring(v)
  end
  return tostring(v)
end

local function show(ok, ...)
  if not ok then
    local e = ...
    return print(visible(errors.is(e) and e.message or tostring(e)))
  end
  local n = select("#", ...)
  if n == 0 then return end
  local list = {}
  for i = 1, n do list[i] = shown((select(i, ...))) end
  print(visible(table.concat(list, "\t")))
end

-- The chunk of what has been typed; nil, true when more has to come.
local function compile(text)
  if text:match("^%a[%w+.-]*://%S+$") then
    text = ("get %q"):format(text)
  end
  local chunk = load("return " .. text, "=", "t", env)
  if chunk then return chunk end
  local why
  chunk, why = load(text, "=", "t", env)
  if chunk then return chunk end
  if why:match("<eof>$") then return nil, true end
  return nil, why
end

---- Lines ---------------------------------------------------------------------

local INTERRUPT = 2

-- One line; nil at the end of input, "" and true when it was interrupted.
local function read_edited(prompt)
  line.open(prompt)
  while true do
    local ready, signal = loop.wait_input(0)
    if not ready then
      line.close()
      print()
      if signal == INTERRUPT then return "", true end
      return nil
    end
    local text = line.read()
    if text ~= nil then return text or nil end
  end
end

local function read_plain(prompt)
  io.write(prompt)
  io.flush()
  local ready, signal = loop.wait_input(0)
  if ready then return io.read("l") end
  print()
  if signal == INTERRUPT then return "", true end
  return nil
end

function M.main()
  local home = os.getenv "HOME"
  local history = home and home .. "/.copal_history"
  local read = line.open and read_edited or read_plain
  core.catch_signals()
  if line.open then
    line.complete_with(M.complete)
    if history then line.load(history) end
  end
  print("copal " .. copal.version .. "; Lua, with get, put, observe ... at hand; Ctrl-D ends")
  local typed
  while true do
    local text, interrupted = read(typed and ">> " or "> ")
    if not text then break end
    if interrupted then
      typed = nil
    elseif typed or text:match("%S") then
      if line.remember then line.remember(text) end
      typed = typed and typed .. "\n" .. text or text
      local chunk, more = compile(typed)
      if chunk then show(pcall(chunk)) elseif more ~= true then print(more) end
      if more ~= true then typed = nil end
    end
    io.stdout:flush()
  end
  if line.save and history then line.save(history) end
  return exit.OK
end

return M
