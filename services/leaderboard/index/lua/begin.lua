-- ARGV: epoch, token, lease in milliseconds, expiry ('' = none), and the build that the caller found here (status.lua) before it
-- asked for the epoch. Gives BEGUN, HELD (another builds in this epoch), COMPLETE, or OVERTAKEN: another has begun since, perhaps
-- in a newer epoch, which a caller that was held up must not undo. Without a token it gives DROPPED instead of BEGUN, and what was
-- here is gone.

local token, lease, expiry, found = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
if epoch == '' or not lease or not string.match(expiry, '^%d*$') then
  return redis.error_reply('ERR an epoch, a lease and an expiry')
end
if complete then
  return 'COMPLETE'
end
if found ~= (kept[7] or '') then
  return 'OVERTAKEN'
end
local now = milliseconds()
if builder and ours and (tonumber(kept[3]) or 0) > now then
  return 'HELD'
end
redis.call('UNLINK', players, order)
if token == '' then
  return 'DROPPED'
end
redis.call(
  'HSET', players, '#token', era .. ':' .. token, '#until', integer(now + lease), '#count', '0', '#epoch', epoch, '#build', token
)
expire(expiry)
return 'BEGUN'
