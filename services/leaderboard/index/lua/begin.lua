-- ARGV: token, lease in milliseconds, cause. Gives BEGUN, HELD (another builds) or COMPLETE.
-- A cause is what makes even a complete index worth building again, once: the index remembers for which it was built last.

local token, lease, cause = ARGV[1], tonumber(ARGV[2]), ARGV[3]
if token == '' or not lease then
  return redis.error_reply('ERR a token and a lease')
end
if complete and (cause == '' or kept[6] == cause) then
  return 'COMPLETE'
end
local now = milliseconds()
if builder and (tonumber(kept[3]) or 0) > now then
  return 'HELD'
end
redis.call('UNLINK', players, order)
redis.call(
  'HSET', players, '#token', era .. ':' .. token, '#until', integer(now + lease), '#count', '0', '#cause', cause
)
return 'BEGUN'
