-- The hooks of copal bench -s FILE.lua, between what a script says and what
-- copal.load takes.
local build = require "copal.build"
local copal = require "copal"
local core = require "copal_core"
local errors = require "copal.error"
local exit = require "copal.cli.exit"

local M = {}
local Script = {}
Script.__index = Script

local known = { init = true, request = true, response = true, done = true }

local function load_hooks(path, flags)
  local chunk = require "copal.cli.run".load(path, flags)
  local hooks = chunk()
  if type(hooks) ~= "table" then
    exit.usage(path .. ": it returns no table of hooks; return { request = function(i) ... end }")
  end
  for name, fn in pairs(hooks) do
    if not known[name] then
      exit.usage(path .. ": no hook is called '" .. tostring(name)
        .. "'; there are init, request, response, done")
    elseif type(fn) ~= "function" then
      exit.usage(path .. ": " .. name .. " is a " .. type(fn) .. ", not a function")
    end
  end
  return hooks
end

-- "/path" on the server that the command line names, or a URI of its own.
local function uri_of(base, path)
  if path == nil then return base end
  if type(path) ~= "string" then
    error("request: a path is text, got a " .. type(path), 0)
  end
  if path:find("://", 1, true) then return path end
  if path:sub(1, 1) ~= "/" then
    error("request: '" .. path .. "' is no path and no URI; write /" .. path, 0)
  end
  return base:match("^[^:]+://[^/?#]*") .. path
end

-- What the core takes: nil for the default, false for no more, or a handle and
-- its flags.
local function requests(coap, plan, request)
  return function(i)
    local method, path, payload, opts = request(i)
    if method == false then return false end
    if method == nil and path == nil then return nil end
    local code = copal.code(method or "get")
    if not code or code.cls ~= 0 or code.number == 0 then
      error("request: " .. tostring(method) .. " is no method", 0)
    end
    local uri = uri_of(plan.uri, path)
    local handle, err = build.build(coap.handle, code.number, uri, payload, opts)
    if not handle then error("request: " .. err.message, 0) end
    local non = opts and opts.non
    if non == nil then return handle, plan.flags end
    return handle, non and core.NON or 0
  end
end

local function responses(response)
  return function(handle, ms, name, text)
    if handle then
      response(handle, ms)
    else
      response(nil, ms, errors.new(name, text))
    end
  end
end

-- Puts the hooks into plan.
function M.new(coap, flags, plan)
  local hooks = load_hooks(flags.script, flags)
  if hooks.init then
    hooks.init { uri = plan.uri, window = plan.window, endpoints = plan.endpoints,
      rate = plan.rate, number = plan.count, duration = plan.duration,
      non = plan.flags ~= 0 }
  end
  plan.request = hooks.request and requests(coap, plan, hooks.request)
  plan.response = hooks.response and responses(hooks.response)
  return setmetatable({ hooks = hooks }, Script)
end

-- The exit status, and what to say of it.
function Script:done(summary, status, why)
  if not self.hooks.done then return status, why end
  io.stdout:flush()
  local verdict, text = self.hooks.done(summary)
  if verdict == nil or verdict == true then return status, why end
  if verdict == false then return exit.EXPECT, text or "the script says that it failed" end
  if math.type(verdict) ~= "integer" or verdict < 0 or verdict > 255 then
    exit.fail(exit.INTERNAL, "done: an exit status is 0 to 255, got " .. tostring(verdict))
  end
  return verdict, text
end

return M
