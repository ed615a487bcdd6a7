-- ARGV: users. Gives nothing unless complete, else for each {value, score of its member} as they are kept, for the check.

if not complete then
  return false
end
local answer = {}
for n, user in ipairs(ARGV) do
  local value = redis.call('HGET', players, user)
  local _, key, username = parse(value)
  answer[n] = {value, key and key ~= '' and redis.call('ZSCORE', order, member_of(key, user, username))}
end
return answer
