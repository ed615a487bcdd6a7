-- Sends one request again and again over every connection, each time with another value in it, and prints what came of it
-- as one line of JSON. Arguments: a file with the request as it goes over the wire, two files with a value a line, and a word
-- that no other run uses. In the request {value} stands for one of the first file's values, in random order, {other} for one
-- of the second's, {key} for something that is never sent twice, and {item} for something that no request has twice either and
-- that is always of one length.

local ffi = require("ffi")

local pieces, marked, fill
local word, sent, items = "", 0, 0

local function read(path)
   local file = assert(io.open(path, "rb"))
   local text = file:read("*a")
   file:close()
   return text
end

-- Gives any of a file's lines at each call. They are kept as they are in the file, beside where each begins: a table of a million
-- strings would be walked by the garbage collector while answers wait to be read.
local function any_line_of(path)
   local text = read(path)
   local _, count = text:gsub("\n", "")
   local starts = ffi.new("uint32_t[?]", count + 1)
   starts[0] = 1
   for line = 1, count do
      starts[line] = text:find("\n", starts[line - 1], true) + 1
   end
   return function()
      local line = math.random(0, count - 1)
      return text:sub(starts[line], starts[line + 1] - 2)
   end
end

local function new_key()
   return word .. sent
end

local function new_item()
   items = items + 1
   return string.format("%s%010d", word, items)
end

function init(args)
   local request = read(args[1])
   fill = { ["{value}"] = any_line_of(args[2]), ["{other}"] = any_line_of(args[3]), ["{key}"] = new_key,
      ["{item}"] = new_item }
   pieces, marked, word = {}, {}, args[4]
   local from = 1
   for before, mark, after in request:gmatch("()({%l+})()") do
      if fill[mark] then
         pieces[#pieces + 1] = request:sub(from, before - 1)
         pieces[#pieces + 1] = mark
         marked[#pieces] = fill[mark]
         from = after
      end
   end
   pieces[#pieces + 1] = request:sub(from)
   math.randomseed(tonumber(word:sub(-6), 16))
end

function request()
   sent = sent + 1
   for place, filled in pairs(marked) do
      pieces[place] = filled()
   end
   return table.concat(pieces)
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, '
         .. '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
      errors.connect, errors.read, errors.write, errors.status, errors.timeout
   ))
end
