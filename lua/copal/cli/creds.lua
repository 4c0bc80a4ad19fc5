-- copal creds list | add SCOPE NAME=VALUE... | test URI | pair URI: the
-- credentials file.
local exit = require "copal.cli.exit"
local flags_table = require "copal.cli.flags"
local copal = require "copal"
local host = require "copal.host"
local json = require "copal.json"
local session = require "copal.cli.session"

local M = {}

local SECRETS = { psk = true, secret = true, private_key = true }
local NAMES = { ["psk-id"] = true, psk = true, ["psk-file"] = true, ["psk-env"] = true,
  ["psk-cmd"] = true, cert = true, rpk = true, key = true, ca = true, profile = true }

-- Fields of an OSCORE context, and what their values are.
local OSCORE = { secret = "text", ["secret-file"] = "text", ["secret-env"] = "text",
  ["secret-cmd"] = "text", salt = "text", sender_id = "text", recipient_id = "text",
  id_context = "text", aead = "number", hkdf = "number", replay_window = "number",
  rederives = "boolean", state = "text" }

-- Fields of keys for EDHOC, and of a new one.
local EDHOC = { method = "number", suite = "number", private_key = "text",
  ["private_key-file"] = "text", ["private_key-env"] = "text", ["private_key-cmd"] = "text",
  credential = "text", ["credential-file"] = "text", peer_credential = "text",
  ["peer_credential-file"] = "text", identifier = "text", combined = "boolean", subject = "text",
  kid = "text" }

local function path_of(flags)
  local path = flags.creds or session.usual_creds()
  if not path then exit.usage("no HOME; say where: --creds FILE") end
  return path
end

-- What is in the file; an empty table where there is none.
local function read(path)
  local f, why = io.open(path, "rb")
  if not f then
    if host.modified(path) then exit.fail(exit.SECURITY, why) end
    return {}
  end
  local text = f:read "*a"
  f:close()
  local ok, all = pcall(json.decode, text)
  if not ok or type(all) ~= "table" then
    exit.usage(path .. ": " .. (ok and "no object" or tostring(all)))
  end
  return all
end

local function each(entry, fn)
  if entry[1] then
    for _, one in ipairs(entry) do fn(one) end
  else
    fn(entry)
  end
end

---- list ----------------------------------------------------------------------

-- Who one is there, and where the secret comes from; never the secret.
local function describe(one)
  local words = {}
  if one["psk-id"] then
    words[1] = "psk " .. one["psk-id"]
    for _, name in ipairs { "psk-file", "psk-env", "psk-cmd" } do
      if one[name] then words[#words + 1] = "(" .. name:sub(5) .. " " .. one[name] .. ")" end
    end
  end
  local k = one.oscore
  if k then
    words[#words + 1] = "oscore " .. (k.sender_id or "''") .. " > " .. (k.recipient_id or "''")
      .. (k.id_context and " in " .. k.id_context or "")
    for _, name in ipairs { "secret-file", "secret-env", "secret-cmd" } do
      if k[name] then words[#words + 1] = "(" .. name:sub(8) .. " " .. k[name] .. ")" end
    end
  end
  local e = one.edhoc
  if e then
    words[#words + 1] = e.credential == nil and "edhoc, peers" or "edhoc method " .. (e.method or 0)
      .. " suite " .. (e.suite or 0)
    for _, name in ipairs { "private_key-file", "private_key-env", "private_key-cmd" } do
      if e[name] then words[#words + 1] = "(" .. name:sub(13) .. " " .. e[name] .. ")" end
    end
    if e.credential then words[#words + 1] = "credential " .. e.credential end
  end
  for _, name in ipairs { "cert", "rpk", "ca" } do
    local v = one[name]
    if v then
      words[#words + 1] = name .. " " .. (v:find("-----BEGIN", 1, true) and "(here)" or v)
    end
  end
  if one.profile then words[#words + 1] = "profile " .. one.profile end
  return table.concat(words, " ")
end

local function list(flags)
  local path = path_of(flags)
  if not host.modified(path) then
    exit.fail(exit.NO_ROUTE, path .. ": not there; copal creds add SCOPE NAME=VALUE makes it")
  end
  session.open({ params = {}, creds = path, is_trial = true }):free() -- says what is wrong with it
  local all, scopes = read(path), {}
  for scope in pairs(all) do scopes[#scopes + 1] = scope end
  table.sort(scopes)
  for _, scope in ipairs(scopes) do
    each(all[scope], function(one) print(scope .. "  " .. describe(one)) end)
  end
  return exit.OK
end

---- add -----------------------------------------------------------------------

local function read_secret(name)
  if host.isatty(0) then io.stderr:write(name, ": ") end
  local line = io.read "l"
  if not line or line == "" then exit.usage(name .. "=-: nothing on stdin") end
  return line
end

-- 16 bytes that nobody knows.
local function random_secret()
  local f = assert(io.open("/dev/urandom", "rb"))
  local bytes = f:read(16)
  f:close()
  return "0x" .. bytes:gsub(".", function(c) return string.format("%02x", c:byte()) end)
end

local function field(name, v)
  if OSCORE[name] == "number" then return math.tointeger(tonumber(v)) or v end
  if OSCORE[name] == "boolean" then return v == "true" or v == "1" end
  if name == "secret" and v == "random" then return random_secret() end
  return v == "-" and read_secret(name) or v
end

local function hex(bytes)
  return "0x" .. bytes:gsub(".", function(c) return string.format("%02x", c:byte()) end)
end

local function bytes_of(text)
  if not text then return "" end
  local digits = text:match "^0x(%x*)$"
  if not digits then return text end
  return (digits:gsub("%x%x", function(d) return string.char(tonumber(d, 16)) end))
end

-- The curve that a method and a suite want of whoever has scope. RFC 9528 3.2, 3.6.
local function curve_of(scope, k)
  local suite, method = k.suite or 0, k.method or 0
  local static = method == 3 or method == (scope == "*" and 1 or 2)
  if suite == 2 or suite == 3 or suite == 5 or (suite == 6 and not static) then return "P-256" end
  return static and "X25519" or "Ed25519"
end

-- private_key=random: what is shown of it goes to whoever is to know it.
local function make_key(scope, k)
  if k.private_key == "random" then
    local secret, shown = copal.make_edhoc(curve_of(scope, k), k.subject, bytes_of(k.kid))
    if not secret then exit.fail(exit.SECURITY, tostring(shown)) end
    k.private_key, k.credential = hex(secret), hex(shown)
    print("credential " .. k.credential)
  end
  k.subject, k.kid = nil, nil
end

local function parse_entry(flags)
  local one = {}
  for i = 3, #flags do
    local name, v = flags[i]:match("^([%w_-]+)=(.*)$")
    if not NAMES[name] and not OSCORE[name] and not EDHOC[name] then
      exit.usage("creds add: '" .. flags[i] .. "': psk-id=ID with psk-file=, psk-env=, psk-cmd= "
        .. "or psk=-; cert= or rpk= with key=; ca=; profile=; for OSCORE secret=-, secret=random or "
        .. "secret-file= and so on, salt=, sender_id=, recipient_id=, id_context=, aead=, hkdf=, "
        .. "replay_window=, rederives=; for EDHOC method=, suite=, private_key=-, "
        .. "private_key=random with subject= and kid=, or private_key-file= and so on, "
        .. "credential=, peer_credential=, identifier=, combined=")
    end
    if SECRETS[name] and v ~= "-" and not (name ~= "psk" and v == "random") then
      exit.usage("creds add: a key on the command line is seen by everybody on this host; "
        .. name .. "=- reads it from stdin")
    end
    if OSCORE[name] then
      one.oscore = one.oscore or {}
      one.oscore[name] = field(name, v)
    elseif EDHOC[name] then
      one.edhoc = one.edhoc or {}
      local kind = EDHOC[name]
      one.edhoc[name] = kind == "number" and math.tointeger(tonumber(v))
        or kind == "boolean" and (v == "true" or v == "1")
        or kind == "text" and field(name, v) or nil
    else
      one[name] = field(name, v)
    end
  end
  if one.edhoc then make_key(flags[2], one.edhoc) end
  return one
end

-- Who of "*" it is: one identity, or one peer of OSCORE.
local function name_of(one)
  local k = one.oscore
  return k and (k.id_context or "") .. "\0" .. (k.recipient_id or "") or one["psk-id"]
end

-- A scope has one entry; "*" has one for each identity.
local function put(all, scope, one)
  if scope ~= "*" or not all[scope] then
    all[scope] = one
    return
  end
  local kept = {}
  each(all[scope], function(old)
    if not name_of(one) or name_of(old) ~= name_of(one) then kept[#kept + 1] = old end
  end)
  kept[#kept + 1] = one
  all[scope] = kept
end

-- Numbers of fixed keys are begun here and nowhere else: who finds no state of what
-- was begun, because it was deleted or is kept elsewhere, uses none of them.
local function begin_state(flags, path, scope, one)
  local k = one.oscore
  if not k or k.rederives or k.state then return end
  k.state = "new"
  local alone = path .. ".alone"
  local store = flags.store or session.state_of(path)
  local ok, why = host.write_secret(alone, json.encode({ [scope] = { oscore = k } }) .. "\n")
  if not ok then exit.fail(exit.INTERNAL, alone .. ": " .. why) end
  local coap, err = copal.endpoint()
  if coap then
    ok, err = coap:store(store)
    if ok then ok, err = coap:use_file(alone) end
    coap:free() -- what was put is durable then
  end
  os.remove(alone)
  if ok then
    k.state = "begun"
  elseif err and err.name ~= "ENOTSUP" then
    io.stderr:write("copal: state: \"new\", since it cannot be begun now: ", err.message, "\n")
  end
end

-- The file with one entry more, if it can be used.
local function save(flags, scope, one)
  local path = path_of(flags)
  local all = read(path)
  put(all, scope, one)
  local folder = path:match("^(.*)/[^/]*$")
  if folder and folder ~= "" and not host.modified(folder) then
    os.execute("umask 077; mkdir -p '" .. folder:gsub("'", "'\\''") .. "'")
  end
  local before = host.modified(path) and path
  local trial = path .. ".new"
  local ok, why = host.write_secret(trial, json.encode(all, true) .. "\n")
  if not ok then exit.fail(exit.INTERNAL, trial .. ": " .. why) end
  if before then session.open({ params = {}, creds = before, is_trial = true }):free() end
  local checked, failed = pcall(function() session.open({ params = {}, creds = trial, is_trial = true }):free() end)
  if checked then
    if one.oscore and not one.oscore.state then
      begin_state(flags, path, scope, one)
      ok, why = host.write_secret(trial, json.encode(all, true) .. "\n")
      if not ok then exit.fail(exit.INTERNAL, trial .. ": " .. why) end
    end
    ok, why = host.replace(path, trial)
    if not ok then exit.fail(exit.INTERNAL, why) end
    return exit.OK
  end
  os.remove(trial)
  error(failed, 0)
end

local function add(flags)
  local scope = flags[2]
  if not scope or not flags[3] then exit.usage("copal creds add wants a SCOPE and NAME=VALUE") end
  return save(flags, scope, parse_entry(flags))
end

---- test ----------------------------------------------------------------------

local function test(flags)
  local uri = flags[2]
  if not uri then exit.usage("copal creds test wants a URI") end
  local coap = session.open(flags)
  if not uri:match("^%a[%w+.-]*://[^/]+/") then uri = uri .. "/.well-known/core" end
  local res, err = coap:get(uri)
  if not res then exit.fail(exit.of_error(err), err.message) end
  print("ok: " .. (res.identity and "it proved to be " .. res.identity or "nothing proves who that is"))
  coap:close()
  return exit.OK
end

---- pair ----------------------------------------------------------------------

-- A key of one's own, by the code that is printed on the device, which is read
-- from stdin.
local function pair(flags)
  local uri, profile = flags[2], flags.profile
  local profiles = require "copal.profiles"
  if not uri or not profile then exit.usage("copal creds pair URI --profile NAME") end
  if not profiles.pairings[profile] then
    exit.usage("creds pair: --profile " .. profile .. ": no such exchange is known")
  end
  local name = flags.name or "copal-" .. os.time()
  local code = read_secret("the code printed on it")
  local coap = session.open { params = flags.params, creds = false }
  local key, err = profiles.pair(coap, profile, uri, code, name)
  coap:close()
  if not key then
    exit.fail(type(err) == "table" and exit.of_error(err) or exit.SECURITY,
      uri .. ": " .. (type(err) == "table" and err.message or err))
  end
  local scope = uri:match "^coaps://[^/?#]+"
  save(flags, scope, { ["psk-id"] = name, psk = key, profile = profile })
  print(scope .. "  psk " .. name)
  return exit.OK
end

local commands = { list = list, add = add, test = test, pair = pair }

function M.main(command, argv)
  local flags = flags_table.parse(command, argv)
  if flags.help then return require "copal.cli.help".of(command) end
  local run = commands[flags[1]]
  if not run then
    exit.usage("copal creds list | add SCOPE NAME=VALUE... | test URI | pair URI --profile NAME")
  end
  return run(flags)
end

return M
