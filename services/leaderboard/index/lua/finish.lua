-- ARGV: epoch, token, nonce, expiry ('' = none). Gives OK or STALE.

if builder ~= ARGV[2] or not ours or not sound then
  return 'STALE'
end
redis.call('HSET', players, '#complete', era, '#generation', ARGV[3])
redis.call('HDEL', players, '#token', '#until')
expire(ARGV[4])
return 'OK'
