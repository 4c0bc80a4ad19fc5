-- Errors as objects: name, code, hint, and tostring() is the sentence that C
-- wrote. A misuse of the API (wrong type, no coroutine to wait in) is not one
-- of these: it is thrown as a Lua error with its position.
local core = require "copal_core"

local M = {}
local Error = {}
Error.__index = Error

function Error.__tostring(e)
  return e.message
end

local numbers = core.errors()

-- What to do about it, where the sentence says so: what follows the last
-- semicolon, else the last colon.
local function hint_of(message)
  return message:match(".*;%s+(.+)$") or message:match(".*:%s+(.+)$") or message
end

-- name: "ETIMEOUT"; message nil: the error's general text.
function M.new(name, message, response)
  local code = numbers[name] or 0
  message = message or core.strerror(code)
  return setmetatable({ name = name, code = code, message = message,
    hint = hint_of(message), response = response }, Error)
end

function M.is(e, name)
  return getmetatable(e) == Error and (name == nil or e.name == name)
end

-- For what the core module returns: value, or nil, text, NAME.
function M.check(value, text, name)
  if value == nil and name ~= nil then
    return nil, M.new(name, text)
  end
  return value
end

function M.not_built_in(what)
  return M.new("ENOTSUP", what .. ": not built in")
end

return M
