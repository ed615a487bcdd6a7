-- ARGV: epoch. Gives 1 when the index is complete and 2 when it is being built, else 0; which build this is, or ''; how many
-- players it has; the bytes that the server uses and those it may, 0 if it may use any number.

local memory = redis.call('INFO', 'memory')
local state = complete and 1 or (builder and ours and (tonumber(kept[3]) or 0) > milliseconds() and 2 or 0)
return {
  state, kept[7] or '', redis.call('HLEN', players),
  tonumber(string.match(memory, 'used_memory:(%d+)')), tonumber(string.match(memory, 'maxmemory:(%d+)'))
}
