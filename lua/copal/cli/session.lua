-- What commands that ask have in common: an endpoint made from the flags, the
-- trace on stderr, the interrupt.
local core = require "copal_core"
local copal = require "copal"
local exit = require "copal.cli.exit"
local host = require "copal.host"

local M = {}

local RECORD_MEMORY = 4194304 -- bytes, where --record-memory is not given

-- Its recording stands in FILE when it is gone, however that comes.
local function record(coap, path)
  local handle, free = coap.handle, coap.before_free
  local written = false
  local function write()
    if written then return end
    written = true
    local ok, why = core.log_to(handle, core.LOG_RECORDING, path)
    if not ok then io.stderr:write("copal: --record ", why, "\n") end
  end
  coap.before_free = function()
    write()
    core.record_on_signal()
    if free then free() end
  end
  M.at_end = write
  core.record_on_signal(handle, path)
end

-- The program ends: what was asked for and is not there yet.
function M.finish()
  if M.at_end then M.at_end() end
end

-- The file that is read when none is named; nil: there is no home.
function M.usual_creds()
  local config = os.getenv "XDG_CONFIG_HOME"
  if config == nil or config == "" then
    local home = os.getenv "HOME"
    if home == nil or home == "" then return nil end
    config = home .. "/.config"
  end
  return config .. "/copal/creds.json"
end

-- flags.creds false: none at all.
function M.creds_of(flags)
  if flags.creds == false then return nil end
  return flags.creds or M.usual_creds()
end

-- Of who only looks whether a file is right.
local NOWHERE = {
  get = function() return nil end,
  put = function() return true end,
  delete = function() return true end,
}

-- Numbers of OSCORE are kept beside the file: creds.json has creds.state,
-- unless there is --store.
function M.state_of(path)
  return (path:gsub("%.json$", "")) .. ".state"
end

local function keep_state(coap, flags, path)
  local ok, failed = coap:store(flags.is_trial and NOWHERE or M.state_of(path))
  if not ok then exit.fail(exit.of_error(failed), failed.message) end
end

-- The file of --creds, or else the usual one if it is there. True: there is one.
function M.use_creds(coap, flags)
  local path = M.creds_of(flags)
  if not path or not flags.creds and not host.modified(path) then return false end
  local ok, failed = coap:use_file(path)
  if not ok and failed.name == "ESTATE" then
    keep_state(coap, flags, path)
    ok, failed = coap:use_file(path)
  end
  if ok or failed.name == "ENOTSUP" and not flags.creds then return ok end
  exit.fail(failed.name == "EPERM" and exit.SECURITY or exit.USAGE, failed.message)
end

local function use_store(coap, flags)
  if not flags.store then return end
  local ok, failed = coap:store(flags.store)
  if not ok then
    exit.fail(failed.name == "EPERM" and exit.SECURITY or exit.USAGE,
      "--store " .. failed.message)
  end
end

local function log_keys(coap, flags)
  local path = flags.keylog
  if not path then return end
  if path == "env" then
    path = os.getenv "SSLKEYLOGFILE"
    if not path then exit.usage("--keylog env: SSLKEYLOGFILE is not set") end
  end
  local ok, failed = coap:log_to("keys", path)
  if not ok then exit.fail(exit.of_error(failed), "--keylog " .. failed.message) end
end

---- Profiles ------------------------------------------------------------------

-- Where something else may be said of whom is asked than of all.
local function scopes_of(uri)
  if not uri then return {} end
  return { uri:match "^[%w+.-]+://[^/?#]+" or uri, uri }
end

local function use_profile(coap, flags)
  if not flags.profile then return end
  local ok, failed = coap:profile(nil, flags.profile)
  if not ok then exit.usage(failed.message) end
  assert(coap:tune(nil, flags.params)) -- what flags say goes before
end

-- What flags say goes before what a credentials file says of whom is asked, which is
-- nearer than what holds for all.
local function outrank_creds(coap, flags)
  for _, scope in ipairs(scopes_of(flags.asked)) do
    if flags.profile then assert(coap:profile(scope, flags.profile)) end
    for name, value in pairs(flags.params) do
      coap:tune(scope, { [name] = value }) -- those of the whole endpoint stand
    end
  end
end

-- The endpoint, its parameters as flags say.
function M.open(flags)
  core.catch_signals()
  local parameters = {}
  for name, v in pairs(flags.params) do parameters[name] = v end
  if flags.record and not parameters.record_memory then
    parameters.record_memory = RECORD_MEMORY
  end
  local coap, err = copal.endpoint(parameters)
  if not coap then exit.fail(exit.of_error(err), err.message) end
  if flags.pcap then
    local ok, failed = coap:log_to("capture", flags.pcap)
    if not ok then exit.fail(exit.of_error(failed), "--pcap " .. failed.message) end
  end
  if flags.record then record(coap, flags.record) end
  use_store(coap, flags)
  local has_creds = M.use_creds(coap, flags)
  use_profile(coap, flags)
  if has_creds then outrank_creds(coap, flags) end
  log_keys(coap, flags)
  if flags.verbose or flags.trace then
    require "copal.cli.wire".attach(coap, flags)
  end
  return coap
end

function M.format_number(flag, text)
  local f = copal.format(text)
  if not f then exit.usage(flag .. ": unknown Content-Format '" .. text .. "'") end
  return f.number
end

-- VALUE of -O: 0xHEX bytes, =uint, else text.
local function option_value(text)
  local hex = text:match("^0x(%x*)$")
  if hex and #hex % 2 == 0 then
    return require "copal.cli.text".from_hex(hex)
  end
  local n = text:match("^=(%d+)$")
  if n then
    n = tonumber(n)
    if n > 0xFFFFFFFF then exit.usage("option value " .. text .. " is over 32 bits") end
    return n
  end
  return text ~= "" and text or true
end
M.option_value = option_value

function M.option_number(name)
  local number = require "copal.value".option(name)
  if not number then exit.usage("no option called '" .. name .. "'") end
  return number
end

-- The options table of a request, from the flags and the request items.
function M.request_options(flags, items)
  local opts = { options = {}, query = {} }
  for _, text in ipairs(flags.option or {}) do
    local name, v = text:match("^([^=]+)=(.*)$")
    if not name then exit.usage("-O wants NAME=VALUE, got '" .. text .. "'") end
    table.insert(opts.options, { M.option_number(name), option_value(v) })
  end
  for _, pair in ipairs(items and items.options or {}) do
    table.insert(opts.options, pair)
  end
  for _, q in ipairs(items and items.query or {}) do
    table.insert(opts.query, q)
  end
  if flags.accept then opts.accept = M.format_number("-a", flags.accept) end
  if flags.non then opts.non = true end
  if flags.from then
    opts.from = flags.from:find("://", 1, true) and flags.from
      or "coap://" .. flags.from
  end
  return opts
end

-- Whether a URI is that of a group, which cannot confirm.
function M.is_group(uri)
  local address = require "copal.message".address(uri)
  return address ~= nil and address.is_multicast
end

-- Asks a group: each(response) shows an answer and returns an exit code. Returns
-- the first of these that was not 0.
function M.ask_group(coap, flags, spec, each)
  local coming, status, heard = coap:answers(spec.uri, spec), exit.OK, false
  for res in coming do
    heard = true
    local result = each(res)
    if status == exit.OK then status = result end
  end
  local err = coming.error
  coap:free()
  if err and not heard then
    exit.fail(exit.of_error(err), not flags.quiet and err.message or nil)
  end
  return status
end

-- One URI and the words after it.
function M.uri_and_items(command, flags)
  local uri
  local items = {}
  for _, word in ipairs(flags) do
    if not uri then uri = word else items[#items + 1] = word end
  end
  if not uri then exit.usage("copal " .. command .. " wants a URI") end
  flags.asked = uri
  return uri, items
end

return M
