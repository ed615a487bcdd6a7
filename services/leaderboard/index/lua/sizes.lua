-- ARGV: epoch. Gives nothing unless complete, else how many players, removed ones too, and how many members there are.

if not complete then
  return false
end
local fields = 0
for n = 1, 7 do
  fields = fields + (kept[n] and 1 or 0)
end
return {redis.call('HLEN', players) - fields, redis.call('ZCARD', order)}
