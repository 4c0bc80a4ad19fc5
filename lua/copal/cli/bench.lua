-- copal bench URI: a load, and what became of it. It is made in C (copal.load);
-- here is what the flags mean, and in copal.cli.bench_report what is printed.
local build = require "copal.build"
local copal = require "copal"
local core = require "copal_core"
local errors = require "copal.error"
local exit = require "copal.cli.exit"
local flags_table = require "copal.cli.flags"
local items_of = require "copal.cli.items"
local load = require "copal.load"
local output = require "copal.cli.output"
local report = require "copal.cli.bench_report"
local session = require "copal.cli.session"
local value = require "copal.value"

local M = {}

local MOST = { window = 1000000, endpoints = 20000 }
local MAX_BODY = 1 << 30

---- What to ask ---------------------------------------------------------------

local function handle_or_exit(handle, err)
  if not handle then exit.fail(exit.of_error(err), err.message) end
  return handle
end

local function method_of(flags, default)
  local code = copal.code(flags.code or default)
  if not code or code.cls ~= 0 or code.number == 0 then
    exit.usage("-X " .. flags.code .. ": a method is get, put, ... or 0.01 to 0.31")
  end
  return code.number
end

-- A URI that is not understood is said at once.
local function check_uri(coap, uri)
  local scratch = core.msg_new(coap.handle, 1)
  local ok, text, name = core.msg_set_uri(scratch, uri)
  if not ok then handle_or_exit(nil, errors.new(name, text)) end
  if session.is_group(uri) then
    exit.usage(uri .. ": a group is many servers; load one of them")
  end
end

local function request(coap, code, uri, payload, opts)
  return handle_or_exit(build.build(coap.handle, code, uri, payload, opts))
end

local function whole(payload)
  if type(payload) ~= "userdata" then return payload end
  local text = payload:read("a")
  payload:close()
  return text
end

local GET, FETCH, PUT, DELETE = 1, 5, 3, 4

local function plan_requests(plan, coap, flags, uri, payload, opts)
  local code = method_of(flags, "get")
  if payload and (code == GET or code == DELETE) then
    exit.usage("-X: which method has that payload? -X put, -X post")
  end
  plan.down = request(coap, code, uri, payload, opts)
end

local function plan_observers(plan, coap, flags, uri, payload, opts)
  local code = method_of(flags, payload and "fetch" or "get")
  if code ~= GET and code ~= FETCH then
    exit.usage("--observe: only GET and FETCH can be observed")
  end
  opts.observe = 0
  plan.down = request(coap, code, uri, payload, opts)
end

local function plan_transfers(plan, coap, flags, uri, payload, opts)
  local code = flags.code and method_of(flags)
  if code == GET or code == FETCH then
    if flags.size then exit.usage("--size is of what goes up; -X put") end
    plan.down = request(coap, code, uri, payload, opts)
    return
  end
  plan.body = payload or ("copal bench "):rep((flags.size or 65536) // 12 + 1)
    :sub(1, flags.size or 65536)
  if #plan.body == 0 then exit.usage("--size: nothing to transfer") end
  if #plan.body > MAX_BODY then exit.usage("--size: over 1 GiB") end
  plan.up = request(coap, code or PUT, uri, nil, opts)
  if not code then
    local get = {}
    for key, v in pairs(opts) do get[key] = v end
    get.format = nil
    plan.down = request(coap, GET, uri, nil, get)
  end
end

---- How much of it ------------------------------------------------------------

local function within(flag, n, most)
  if n < 1 or n > most then
    exit.usage(("%s %d: 1 to %d"):format(flag, n, most))
  end
  return n
end

local function mode_of(flags)
  if flags.observe and flags.transfer then
    exit.usage("--observe or --transfer, not both")
  elseif flags.observe and flags.rate then
    exit.usage("-R: observers ask once; --observe has no rate")
  elseif (flags.observe or flags.transfer) and flags.script then
    exit.usage("-s: hooks are of requests, not of --observe or --transfer")
  elseif flags.size and not flags.transfer then
    exit.usage("--size is of --transfer")
  end
  return flags.observe and "observe" or flags.transfer and "transfer" or "requests"
end

local function limits(plan, flags)
  local most = plan.mode == "transfer" and 4 or flags.rate and 16384 or 64
  plan.rate, plan.count = flags.rate, flags.number
  plan.window = within("-W", flags.window or most, MOST.window)
  -- An endpoint that no slot uses has nothing to do in these.
  plan.endpoints = within("-E", flags.endpoints
    or plan.mode ~= "requests" and math.min(64, plan.window) or 64, MOST.endpoints)
  plan.duration = flags.duration or not flags.number and 10 or nil
  plan.grace, plan.interval = flags.grace or 3, flags.interval
  if flags.number == 0 then exit.usage("-n 0: nothing to do") end
  if plan.rate and plan.rate > 1e7 then exit.usage("-R: over 10 million a second") end
  for _, name in ipairs { "duration", "interval" } do
    if plan[name] and plan[name] < 0.01 then
      exit.usage(("--%s: 10ms at least"):format(name))
    end
  end
end

local function parameters(flags)
  local list = {}
  for name, v in pairs(flags.params) do
    local number, n = value.param(name, v)
    list[#list + 1], list[#list + 2] = number, n
  end
  return list
end

local plans = { requests = plan_requests, observe = plan_observers,
  transfer = plan_transfers }

local function make_plan(coap, flags, uri, items)
  local plan = { mode = mode_of(flags), flags = flags.non and core.NON or 0,
    params = parameters(flags), uri = uri }
  limits(plan, flags)
  local opts = session.request_options(flags, items)
  plan.from = opts.from
  local payload, number = items_of.payload(flags, items)
  opts.format = number
  plans[plan.mode](plan, coap, flags, uri, whole(payload), opts)
  return plan
end

---- All of it -----------------------------------------------------------------

local function status_of(res)
  if res.interrupted then return exit.INTERRUPTED end
  if res.error then return exit.of_error { name = res.error } end
  if res.bad_code then return exit.of_code(copal.code(res.bad_code)) end
  return res.bad_end and exit.of_error { name = res.bad_end } or exit.OK
end

function M.main(command, argv)
  local flags = flags_table.parse(command, argv)
  if flags.help then return require "copal.cli.help".of(command) end
  local uri, words = session.uri_and_items(command, flags)
  local items = items_of.parse(words)
  local coap = session.open(flags)
  check_uri(coap, uri)
  local plan = make_plan(coap, flags, uri, items)
  local out = report.new(output.new(flags), plan)
  local script = flags.script
    and require "copal.cli.bench_script".new(coap, flags, plan)
  plan.on_interval = function(row) out:interval(row) end
  plan.on_reuse = function() out:reuse() end
  out:forecast()
  local ok, res, text, name = pcall(load.run, plan)
  if not ok then -- what a hook threw, which has its traceback
    error(type(res) == "string" and { exit = exit.INTERNAL, text = res } or res, 0)
  elseif not res then
    exit.fail(exit.of_error { name = name }, text)
  end
  local summary = out:summary(res)
  local status, why = status_of(res), res.why
  if script then
    status, why = script:done(summary, status, why)
  end
  coap:free()
  out:close()
  if status ~= exit.OK and why and not flags.quiet then exit.fail(status, why) end
  return status
end

return M
