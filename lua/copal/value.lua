-- Codes, Content-Formats, options and parameters as scripts see them. There is
-- one object a code and one a format, so == compares them.
local core = require "copal_core"

local M = {}

---- Codes -------------------------------------------------------------------

local Code = {}
Code.__index = Code

function Code.__tostring(c)
  return c.name
end

function Code.__lt(a, b)
  return a.number < b.number
end

function Code.__le(a, b)
  return a.number <= b.number
end

local codes = {} -- number -> object; where C looks for them
M.Code, M.code_objects = Code, codes

local function code_object(number)
  local c = codes[number]
  if not c then
    local detail = number % 32
    local cls = (number - detail) / 32
    cls = cls - cls % 1
    c = setmetatable({
      number, -- for C
      number = number,
      cls = math.tointeger and math.tointeger(cls) or cls,
      detail = detail,
      dotted = string.format("%d.%02d", cls, detail),
      is_successful = cls == 2,
      name = core.name(core.CODES, number) or string.format("%d.%02d", cls, detail),
    }, Code)
    codes[number] = c
  end
  return c
end

-- x: a number, "0.30", "2.05 Content", "content", "GET", or a code.
-- nil: none of these.
function M.code(x)
  if getmetatable(x) == Code then return x end
  if type(x) == "number" and x >= 0 and x <= 255 and x % 1 == 0 then
    return code_object(math.tointeger and math.tointeger(x) or x)
  end
  if type(x) ~= "string" then return nil end
  local number = core.number(core.CODES, x)
  return number >= 0 and code_object(number) or nil
end

function M.is_code(x)
  return getmetatable(x) == Code
end

M.codes = {
  EMPTY = "0.00", GET = "0.01", POST = "0.02", PUT = "0.03", DELETE = "0.04",
  FETCH = "0.05", PATCH = "0.06", IPATCH = "0.07",
  CREATED = "2.01", DELETED = "2.02", VALID = "2.03", CHANGED = "2.04",
  CONTENT = "2.05", CONTINUE = "2.31",
  BAD_REQUEST = "4.00", UNAUTHORIZED = "4.01", BAD_OPTION = "4.02",
  FORBIDDEN = "4.03", NOT_FOUND = "4.04", METHOD_NOT_ALLOWED = "4.05",
  NOT_ACCEPTABLE = "4.06", INCOMPLETE = "4.08", CONFLICT = "4.09",
  PRECONDITION_FAILED = "4.12", TOO_LARGE = "4.13", UNSUPPORTED_FORMAT = "4.15",
  UNPROCESSABLE = "4.22", TOO_MANY_REQUESTS = "4.29",
  INTERNAL_ERROR = "5.00", NOT_IMPLEMENTED = "5.01", BAD_GATEWAY = "5.02",
  UNAVAILABLE = "5.03", GATEWAY_TIMEOUT = "5.04",
  PROXYING_NOT_SUPPORTED = "5.05", HOP_LIMIT_REACHED = "5.08",
}

---- Content-Formats -----------------------------------------------------------

local Format = {}
Format.__index = Format

function Format.__tostring(f)
  return f.name
end

local formats = {}

local function format_object(number)
  local f = formats[number]
  if not f then
    f = setmetatable({ number = number,
      name = core.name(core.FORMATS, number) or tostring(number) }, Format)
    formats[number] = f
  end
  return f
end

local nicknames = { link = 40, bytes = 42 } -- besides those that C knows

-- x: a number, "application/cbor", "cbor", or a format. nil: none of these.
function M.format(x)
  if getmetatable(x) == Format then return x end
  if type(x) == "number" and x >= 0 and x <= 65535 and x % 1 == 0 then
    return format_object(math.tointeger and math.tointeger(x) or x)
  end
  if type(x) ~= "string" then return nil end
  local number = nicknames[x] or core.number(core.FORMATS, x)
  return number >= 0 and format_object(number) or nil
end

-- How a payload of this format is read and written: "text", "links", "json",
-- "cbor", "cbor-seq", "senml+json", "senml+cbor"; nil: as it is. Those that a
-- content coding was applied to ("@deflate") are taken as they are.
function M.kind(f)
  local name = f.name:match("^[^;]+")
  if f.number == 0 then return "text" end
  if f.number == 40 then return "links" end
  if f.name:find("@", 1, true) then return nil end
  local senml, syntax = name:match("^application/(sens?ml)%+(%a+)$")
  if senml and (syntax == "json" or syntax == "cbor") then
    return "senml+" .. syntax
  elseif name:find("cbor%-seq$") then
    return "cbor-seq"
  elseif name:find("[/+]cbor$") then
    return "cbor"
  end
  return name:find("[/+]json$") and "json" or nil
end

M.formats = { TEXT = 0, LINKS = 40, XML = 41, OCTETS = 42, JSON = 50, CBOR = 60,
  PROBLEM = 257 }

---- Options -------------------------------------------------------------------

-- x: a number, "Uri-Path" in any case, or uri_path. nil: none of these. Signals
-- have options of their own, that no other message has; handle: the message, nil:
-- any request.
function M.option(x, handle)
  if type(x) == "number" then return x end
  if type(x) ~= "string" then return nil end
  if x:match("^%d+$") then return tonumber(x) end
  local name = x:gsub("_", "-")
  local number = core.number(core.OPTIONS, name)
  if number < 65536 then return number >= 0 and number or nil end
  number = number % 65536
  local code = handle and core.msg_code(handle) or 0
  local own = core.name(core.OPTIONS, code * 65536 + number)
  return own and own:lower() == name:lower() and number or nil
end

---- Parameters ----------------------------------------------------------------

local params

-- name -> { number =, is_time =, where =, what =, value = }
function M.params()
  if not params then
    params = {}
    for _, p in ipairs(core.params()) do
      p.is_time = p.what:match("^ms") ~= nil
      params[p.name] = p
      params[#params + 1] = p
    end
  end
  return params
end

-- What C wants for a parameter's value as scripts write it: times in seconds.
-- nil: no parameter of that name.
function M.param(name, value)
  local p = M.params()[name]
  if not p then return nil end
  if value == true then value = 1 elseif value == false then value = 0 end
  if type(value) ~= "number" then
    error("copal: " .. name .. " is a number, got " .. type(value), 0)
  elseif not (value > -2 ^ 53 and value < 2 ^ 53) then
    error("copal: " .. name .. " is out of range: " .. tostring(value), 0)
  end
  if p.is_time then value = value * 1000 end
  value = math.floor(value + 0.5)
  return p.number, value
end

-- level: of whoever gave fn, as error() counts.
function M.check_function(fn, level)
  if type(fn) == "function" then return end
  local meta = getmetatable(fn)
  if type(meta) == "table" and meta.__call then return end
  error("copal: a function expected, got " .. type(fn), level + 1)
end

function M.ms(seconds)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds < 2 ^ 43) then
    error("copal: a time is a number of seconds, got " .. tostring(seconds), 0)
  end
  return math.floor(seconds * 1000 + 0.5)
end

return M
