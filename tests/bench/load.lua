-- Sends one request again and again over every connection, each time with another value in it, and prints what came of it
-- as one line of JSON. Arguments: a file with the request as it goes over the wire, a file with a value a line, and a word
-- that no other run uses. In the request {value} stands for one of the values, in random order, and {key} for something
-- that is never sent twice.

local ffi = require("ffi")

local pieces, marked
-- The values as they are in the file, and where each begins: a table of a million strings would be walked by the garbage
-- collector while answers wait to be read.
local text, starts, count
local word, sent = "", 0

local function read(path)
   local file = assert(io.open(path, "rb"))
   local text = file:read("*a")
   file:close()
   return text
end

function init(args)
   local request = read(args[1])
   pieces, marked, word = {}, {}, args[3]
   local from = 1
   for before, mark, after in request:gmatch("()(%b{})()") do
      if mark == "{value}" or mark == "{key}" then
         pieces[#pieces + 1] = request:sub(from, before - 1)
         pieces[#pieces + 1] = mark
         marked[#pieces] = mark
         from = after
      end
   end
   pieces[#pieces + 1] = request:sub(from)
   text = read(args[2])
   _, count = text:gsub("\n", "")
   starts = ffi.new("uint32_t[?]", count + 1)
   starts[0] = 1
   for line = 1, count do
      starts[line] = text:find("\n", starts[line - 1], true) + 1
   end
   math.randomseed(tonumber(word:sub(-6), 16))
end

local function any_value()
   local line = math.random(0, count - 1)
   return text:sub(starts[line], starts[line + 1] - 2)
end

function request()
   sent = sent + 1
   for place, mark in pairs(marked) do
      pieces[place] = mark == "{value}" and any_value() or word .. sent
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
