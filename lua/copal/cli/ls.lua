-- copal ls URI: .well-known/core as a table or a tree.
local exit = require "copal.cli.exit"
local flags_table = require "copal.cli.flags"
local host = require "copal.host"
local output = require "copal.cli.output"
local session = require "copal.cli.session"
local text = require "copal.cli.text"

local M = {}

local CORE = "/.well-known/core"
local DEEPEST = 32 -- branches of a tree

-- The document's URI: that of the server, unless a path is named.
local function core_uri(uri)
  local base, path = uri:match("^([%w+.-]+://[^/?#]*)(.*)$")
  if base and (path == "" or path == "/") then return base .. CORE end
  if base and path:match("^%?") then return base .. CORE .. path end
  return uri
end

local function format_name(ct)
  local names = {}
  for number in ct:gmatch("%d+") do
    names[#names + 1] = text.format(require "copal".format(tonumber(number)))
  end
  return #names > 0 and table.concat(names, " ") or ct
end

local function attributes(link)
  local words, title = {}, nil
  for _, name in ipairs(link.names) do
    local v = link[name]
    if name == "title" and v ~= true then
      title = '"' .. v .. '"'
    elseif name == "obs" then
      table.insert(words, 1, "obs")
    elseif name ~= "ct" then
      words[#words + 1] = v == true and name or name .. "=" .. v
    end
  end
  words[#words + 1] = title
  return table.concat(words, "  ")
end

function M.as_table(links, out)
  local wide, wide_ct = 4, 2
  local rows = {}
  for _, link in ipairs(links) do
    -- As it is shown: string.format takes no NUL where it pads.
    local href = text.visible(link.href)
    local ct = type(link.ct) == "string" and text.visible(format_name(link.ct)) or ""
    rows[#rows + 1] = { href, ct, text.visible(attributes(link)) }
    wide, wide_ct = math.max(wide, #href), math.max(wide_ct, #ct)
  end
  local line = "  %-" .. math.min(wide, 60) .. "s  %-" .. math.min(wide_ct, 40) .. "s  %s"
  out:write(line:format("PATH", "CT", "ATTRS") .. "\n")
  for _, row in ipairs(rows) do
    out:write(text.trimmed(line:format(row[1], row[2], row[3])) .. "\n")
  end
end

-- The first DEEPEST - 1 segments of a path, and the rest as one: each line is
-- indented by all before it.
local function segments_of(href)
  local list = {}
  for segment, after in href:gmatch("([^/]+)()") do
    if #list == DEEPEST - 1 then
      list[DEEPEST] = segment .. href:sub(after)
      break
    end
    list[#list + 1] = segment
  end
  return list
end

local function as_tree(links, out)
  local root = { kids = {}, order = {} }
  for _, link in ipairs(links) do
    local node = root
    for _, segment in ipairs(segments_of(link.href)) do
      local kid = node.kids[segment]
      if not kid then
        kid = { kids = {}, order = {} }
        node.kids[segment] = kid
        table.insert(node.order, segment)
      end
      node = kid
    end
    node.link = link
  end
  local function show(node, indent)
    for i, segment in ipairs(node.order) do
      local kid = node.kids[segment]
      local last = i == #node.order
      local seen = kid.link and attributes(kid.link) or ""
      out:write(text.visible(indent .. (last and "└ " or "├ ") .. segment
        .. (seen ~= "" and "  " .. seen or "")) .. "\n")
      show(kid, indent .. (last and "  " or "│ "))
    end
  end
  out:write("/\n")
  show(root, "")
end

-- What one of several offers.
function M.of_device(remote, links, flags)
  local count = #links
  io.stdout:write(remote.uri, string.format("  %d resource%s\n", count,
    count == 1 and "" or "s"))
  if count > 0 then (flags.tree and as_tree or M.as_table)(links, io.stdout) end
  io.stdout:flush()
end

local function summary(links, res, rtt)
  local observable = 0
  for _, link in ipairs(links) do
    if link.obs then observable = observable + 1 end
  end
  return string.format("%d resource%s, %d observable · %s in %s", #links,
    #links == 1 and "" or "s", observable, res.code.dotted, text.ms(rtt))
end

local function of_member(res, uri, flags, out)
  local links = res.code.cls == 2 and not flags.json and out.wanted == "auto"
    and not flags.output and res:links()
  if links then
    M.of_device(res.remote, links, flags)
  else
    out:answer(res, uri)
  end
  return exit.of_code(res.code)
end

function M.main(command, argv)
  local flags = flags_table.parse(command, argv)
  if flags.help then return require "copal.cli.help".of(command) end
  local uri, words = session.uri_and_items(command, flags)
  local out = output.new(flags)
  local spec = session.request_options(flags)
  for _, word in ipairs(words) do table.insert(spec.query, word) end
  spec.uri = core_uri(uri)

  local coap = session.open(flags)
  if session.is_group(spec.uri) then
    return session.ask_group(coap, flags, spec, function(res)
      return of_member(res, spec.uri, flags, out)
    end)
  end
  local began = host.clock()
  local res, err = coap:request(spec)
  local rtt = host.clock() - began
  coap:free()
  if not res then
    exit.fail(exit.of_error(err), not flags.quiet and err.message or nil)
  end
  if res.code.cls ~= 2 then
    out:refusal(res, spec.uri)
    return exit.of_code(res.code)
  end
  if flags.json or out.wanted ~= "auto" then
    if flags.json then out:json_event("response", res, { uri = spec.uri, rtt = rtt })
    else out:payload(res) end
    out:close()
    return exit.OK
  end
  local links, why = res:links()
  if not links then
    exit.fail(exit.DECODE, "the answer is not in link format: " .. tostring(why))
  end
  if flags.tree then as_tree(links, out) else M.as_table(links, out) end
  out:close()
  if not flags.quiet then
    io.stderr:write(summary(links, res, rtt), "\n")
  end
  return exit.OK
end

return M
