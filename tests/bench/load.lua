-- Sends one request again and again over every connection, each time with another value in it, and prints what came of it
-- as one line of JSON. Arguments: a file with the request as it goes over the wire, a file with a value a line, and a word
-- that no other run uses. In the request {value} stands for one of the values, in random order, and {key} for something
-- that is never sent twice.

local pieces, marked, values
local word, sent = "", 0

local function read(path)
   local file = assert(io.open(path, "rb"))
   local text = file:read("*a")
   file:close()
   return text
end

function init(args)
   local text = read(args[1])
   pieces, marked, values, word = {}, {}, {}, args[3]
   local from = 1
   for before, mark, after in text:gmatch("()(%b{})()") do
      if mark == "{value}" or mark == "{key}" then
         pieces[#pieces + 1] = text:sub(from, before - 1)
         pieces[#pieces + 1] = mark
         marked[#pieces] = mark
         from = after
      end
   end
   pieces[#pieces + 1] = text:sub(from)
   for value in read(args[2]):gmatch("[^\n]+") do
      values[#values + 1] = value
   end
   math.randomseed(tonumber(word:sub(-6), 16))
end

function request()
   sent = sent + 1
   for place, mark in pairs(marked) do
      pieces[place] = mark == "{value}" and values[math.random(#values)] or word .. sent
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
