-- The resources of copal serve --test: those of the tour, and those that the
-- ETSI plugtests and those of OSCORE ask for.
local copal = require "copal"

local M = {}

local PERIOD = 5      -- seconds between changes of what can be observed
local LARGE = 1280    -- bytes, at least, of what is called large

local function lorem(first, bytes)
  local lines, size, i = { first }, #first + 1, 0
  while size < bytes do
    i = i + 1
    local line = string.format("line %3d of a text that needs several blocks", i)
    lines[#lines + 1] = line
    size = size + #line + 1
  end
  return table.concat(lines, "\n") .. "\n"
end

-- A resource that keeps what it is given.
local function store(initial, format)
  local kept = { payload = initial, format = format or copal.TEXT }
  return kept, function(req)
    kept.payload, kept.format = req.payload, req.format or copal.OCTETS
    return copal.CHANGED
  end
end

local function segments(path)
  local list = {}
  for segment in path:gmatch("[^/]+") do list[#list + 1] = segment end
  return list
end

---- The tour ------------------------------------------------------------------

local function identity_of(req)
  return req.identity or "none: " .. (req.remote.scheme:match("^coaps")
    and "the peer did not prove who it is" or "not a secure scheme")
end

local function whoami(req)
  return table.concat({
    "scheme:   " .. req.remote.scheme,
    "peer:     " .. req.remote.hostinfo,
    "local:    " .. (req.local_address and req.local_address.hostinfo or "?"),
    "identity: " .. identity_of(req),
  }, "\n") .. "\n"
end

local function tour(coap)
  coap:serve("/", function()
    return "This is copal " .. copal.version
      .. ". What it offers is listed in /.well-known/core.\n"
  end)
  coap:serve("/time", { observable = true,
    get = function() return os.date("%Y-%m-%d %H:%M") end })
  coap:serve("/other/separate", function()
    coap:sleep(3)
    return "Three seconds later, in a message of its own."
  end)
  local block, put = store(lorem("What you PUT here replaces this.", 2048))
  coap:serve("/other/block", { put = put,
    get = function() return { payload = block.payload, format = block.format } end })
  coap:serve("/whoami", { get = whoami, per_peer = true })
end

---- Plugtest: core ------------------------------------------------------------

local function plain(coap)
  coap:serve("/test", { title = "Default test resource", rt = "test",
    get = function(req)
      return copal.CONTENT, string.format("%s  code %s  mid %s\n",
        req.type or "no type", req.code.dotted,
        req.mid and string.format("%04x", req.mid) or "none")
    end,
    post = function()
      return { code = copal.CREATED,
        location_path = segments("/location1/location2/location3") }
    end,
    put = function() return copal.CHANGED end,
    delete = function() return copal.DELETED end })
  coap:serve("/seg1/seg2/seg3", function() return "A path of three segments." end)
  coap:serve("/location1/location2/location3", function()
    return "Where POST to /test leads."
  end)
  coap:serve("/query", function(req)
    local lines = {}
    for i, item in ipairs(req.query) do lines[i] = item end
    return #lines > 0 and table.concat(lines, "\n") or "no query"
  end)
  coap:serve("/location-query", { post = function()
    return { code = copal.CREATED, location_query = { "first=1", "second=2" } }
  end })
  coap:serve("/separate", function()
    coap:sleep(1)
    return "One second later, in a message of its own."
  end)
  coap:serve("/multi-format", { ct = "0 41", get = function(req)
    local accept = req:uint("Accept") or 0
    if accept == 0 then return copal.CONTENT, "copal", copal.TEXT end
    if accept == 41 then
      return copal.CONTENT, '<?xml version="1.0"?><name>copal</name>', copal.XML
    end
    return copal.NOT_ACCEPTABLE
  end })
end

-- The core judges If-Match and If-None-Match by what GET answers.
local function conditional(coap)
  local text, version = "one", 1
  local function etag() return string.char(version % 256) end
  coap:serve("/validate", {
    get = function(req)
      if req:option("ETag") == etag() then
        return { code = copal.VALID, etag = etag() }
      end
      return { payload = text, etag = etag() }
    end,
    put = function(req)
      text, version = req.payload, version + 1
      return { code = copal.CHANGED, etag = etag() }
    end })

  local created
  coap:serve("/create1", {
    get = function()
      if not created then return copal.NOT_FOUND end
      return copal.CONTENT, created
    end,
    put = function(req)
      local code = created and copal.CHANGED or copal.CREATED
      created = req.payload
      return code
    end,
    delete = function()
      created = nil
      return copal.DELETED
    end })
end

---- Plugtest: blocks ----------------------------------------------------------

local function large(coap)
  coap:serve("/large", { sz = LARGE, title = "Large resource", rt = "block",
    get = function() return lorem("Large.", LARGE) end })

  local kept, put = store(lorem("Large, and yours to replace.", LARGE))
  coap:serve("/large-update", { put = put, rt = "block", sz = LARGE,
    get = function() return { payload = kept.payload, format = kept.format } end })

  local children, count, LIMIT = {}, 0, 32
  coap:serve("/large-create", { rt = "block",
    get = function() return count .. " created here" end,
    post = function(req)
      count = count + 1
      local name = tostring((count - 1) % LIMIT + 1)
      children[name] = { payload = req.payload, format = req.format or copal.OCTETS }
      return { code = copal.CREATED, location_path = { "large-create", name } }
    end })
  coap:serve("/large-create/{name}", {
    get = function(req)
      local child = children[req.params.name]
      if not child then return copal.NOT_FOUND end
      return { payload = child.payload, format = child.format }
    end,
    delete = function(req)
      children[req.params.name] = nil
      return copal.DELETED
    end })

  coap:serve("/large-post", { rt = "block", post = function(req)
    return copal.CHANGED, lorem(string.format("%d bytes came.", #req.payload), LARGE)
  end })
end

---- Plugtest: observe ---------------------------------------------------------

-- Drops the observers of path with 4.04; the resource is back at once.
local function drop_observers(coap, path, serve_again)
  coap:after(0, function()
    coap:unserve(path)
    serve_again()
  end)
end

local function observable(coap)
  local ticks = 0
  local set -- by PUT to /obs, or nil
  local function serve_obs()
    coap:serve("/obs", { observable = true, rt = "observe",
      get = function()
        if set then
          return { payload = set.payload, format = set.format, max_age = PERIOD }
        end
        return { payload = "tick " .. ticks, max_age = PERIOD }
      end,
      put = function(req)
        set = { payload = req.payload, format = req.format or copal.TEXT }
        coap:notify "/obs"
        return copal.CHANGED
      end,
      delete = function()
        set = nil
        drop_observers(coap, "/obs", serve_obs)
        return copal.DELETED
      end })
  end
  serve_obs()
  coap:serve("/obs-large", { observable = true, rt = "observe", get = function()
    return { payload = lorem("tick " .. ticks, LARGE), max_age = PERIOD }
  end })
  coap:serve("/obs-non", { observable = true, rt = "observe", get = function()
    return { payload = "tick " .. ticks, max_age = PERIOD, non = true }
  end })

  local function serve_reset()
    coap:serve("/obs-reset", { observable = true, rt = "observe",
      get = function() return { payload = "tick " .. ticks, max_age = PERIOD } end,
      post = function()
        drop_observers(coap, "/obs-reset", serve_reset)
        return copal.CHANGED, "observers are being dropped"
      end })
  end
  serve_reset()

  local pumped = "0"
  coap:serve("/obs-pumping", { observable = true, rt = "observe",
    get = function() return { payload = pumped, max_age = PERIOD } end,
    put = function(req)
      pumped = req.payload
      coap:notify "/obs-pumping"
      return copal.CHANGED
    end })

  coap:every(PERIOD, function()
    ticks = ticks + 1
    for _, path in ipairs { "/time", "/obs", "/obs-large", "/obs-non",
      "/obs-reset", "/obs-pumping" } do
      coap:notify(path)
    end
  end)
end

---- Plugtest: links -----------------------------------------------------------

local function links(coap)
  coap:serve("/link1", { rt = "Type1 Type2", ["if"] = "If1",
    get = function() return "link1" end })
  coap:serve("/link2", { rt = "Type2 Type3", ["if"] = "If2",
    get = function() return "link2" end })
  coap:serve("/link3", { rt = "Type1 Type3", ["if"] = "foo",
    get = function() return "link3" end })
  coap:serve("/alternate", { rel = "alternate", anchor = "/",
    get = function() return "Another way to say /." end })

  local subs = {}
  for i = 1, 3 do
    local path = "/path/sub" .. i
    subs[i] = "<" .. path .. ">"
    coap:serve(path, function() return "sub" .. i end)
  end
  coap:serve("/path", { ct = 40, get = function()
    return copal.CONTENT, table.concat(subs, ","), copal.LINKS
  end })
end

---- Plugtest: OSCORE ----------------------------------------------------------

-- To be had by OSCORE only, but for the first. Which contexts there are is said by
-- the credentials file.
local function protected(coap)
  local function hello(path, more)
    local secure = path ~= "/oscore/hello/coap"
    coap:serve(path, { secure = secure, osc = secure, get = function(req)
      if more and more.query and req.query[1] ~= more.query then return copal.BAD_REQUEST end
      return { payload = "Hello World!", format = copal.TEXT, etag = more and more.etag,
        max_age = more and more.max_age }
    end })
  end
  hello "/oscore/hello/coap"
  hello "/oscore/hello/1"
  hello("/oscore/hello/2", { query = "first=1", etag = "\x2b" })
  hello("/oscore/hello/3", { max_age = 5 })
  coap:serve("/oscore/hello/6", { secure = true, osc = true, post = function(req)
    return { code = copal.CHANGED, payload = req.payload, format = copal.TEXT }
  end })
  -- If-Match "{" passes and If-None-Match does not, as the core sees by GET.
  coap:serve("/oscore/hello/7", { secure = true, osc = true,
    get = function() return { payload = "z", format = copal.TEXT, etag = "{" } end,
    put = function() return copal.CHANGED end })
  coap:serve("/oscore/test", { secure = true, osc = true, delete = function() return copal.DELETED end })
  coap:serve("/oscore/block/inner", { secure = true, osc = true, get = function()
    return "This is a large resource\n" .. ("0123456789"):rep(101)
  end })
end

-- Two seconds of each state, from when somebody begins to observe.
local function protected_observable(coap, path)
  local states, now = { "one", "two", false }, 1
  local function go_on()
    now = now % #states + 1
    coap:notify(path)
    if now > 1 then coap:after(2, go_on) end
  end
  coap:serve(path, { secure = true, osc = true, observable = true, get = function(req)
    if now == 1 and req:uint "Observe" == 0 then
      now = 0
      coap:after(2, function()
        now = 1
        go_on()
      end)
    end
    local state = states[math.max(now, 1)]
    if not state then return copal.INTERNAL_ERROR, "Terminate Observe", copal.TEXT end
    return copal.CONTENT, state, copal.TEXT
  end })
end

function M.mount(coap)
  tour(coap)
  plain(coap)
  conditional(coap)
  large(coap)
  observable(coap)
  links(coap)
  protected(coap)
  protected_observable(coap, "/oscore/observe1")
  protected_observable(coap, "/oscore/observe2")
end

return M
