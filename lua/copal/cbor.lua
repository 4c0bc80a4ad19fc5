-- CBOR (RFC 8949). What becomes what:
--
--   CBOR                    Lua
--   integers                integers, exact in 64 bits; beyond what Lua's
--                           integers hold, the bignum of it: { tag = 2 or 3,
--                           value = its bytes }. LuaJIT's and Lua 5.1's
--                           integers go to 2^53
--   floats                  floats, also when they are whole (2.0); without
--                           integers of its own, Lua writes those as integers
--   text                    strings
--   byte strings            strings; with exact, copal.cbor.bytes
--   arrays, maps            tables, marked as array or object
--   null, undefined         copal.null, copal.undefined
--   tags                    { tag = 1, value = ... }
--   other simple values     { simple = 99 }
--
-- and back: a string that is UTF-8 is text, others are byte strings; a table
-- with the keys 1 to n is an array (so is an empty one), any other a map; the
-- marks of copal.data (array, map, bytes, tag, simple) say otherwise. What is
-- written is deterministic (RFC 8949 4.2): keys sorted, everything as short as
-- can be. A map with a key twice is refused, and so is nesting deeper than 64.
local core = require "copal_core"
local data = require "copal.data"

local M = { null = data.null, undefined = data.undefined, array = data.array,
  map = data.object, bytes = data.bytes, tag = data.tag, simple = data.simple,
  is_array = data.is_array, is_map = data.is_object, is_bytes = data.is_bytes,
  is_tag = data.is_tag, is_simple = data.is_simple }

-- The bytes of one item. Throws for what CBOR cannot say: functions, tables
-- that contain themselves.
M.encode = core.cbor_encode

-- The value, or nil and what is wrong where. opts.exact: byte strings come as
-- copal.cbor.bytes; opts.sequence: any number of items (RFC 8742), an array of
-- them.
function M.decode(s, opts)
  opts = opts or {}
  return core.cbor_decode(s, opts.exact, opts.sequence)
end

-- Diagnostic notation, or nil and what is wrong where. opts.indent: on several
-- lines; opts.sequence as above.
function M.diagnostic(s, opts)
  opts = opts or {}
  return core.cbor_diagnostic(s, opts.indent, opts.sequence)
end

-- The value that a text in diagnostic notation says, byte strings as
-- copal.cbor.bytes; or nil and what is wrong where.
function M.from_diagnostic(text)
  return require "copal.diagnostic".decode(text)
end

return M
