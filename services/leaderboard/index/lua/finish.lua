-- ARGV: token, nonce. Gives OK or STALE.

if builder ~= ARGV[1] or not sound then
  return 'STALE'
end
redis.call('HSET', players, '#complete', era, '#generation', ARGV[2])
redis.call('HDEL', players, '#token', '#until')
return 'OK'
