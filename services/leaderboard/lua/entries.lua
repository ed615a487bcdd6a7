-- ARGV: users. Gives nothing unless complete, else for each {value, score of its member} as they are kept, for the check.

if not complete then
  return false
end
local answer = {}
for n, user in ipairs(ARGV) do
  local value = redis.call('HGET', players, user)
  local key = value and string.match(value, '^%d+ (%S+)')
  answer[n] = {value, key and redis.call('ZSCORE', order, key .. user)}
end
return answer
