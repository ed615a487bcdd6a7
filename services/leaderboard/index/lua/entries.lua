-- ARGV: users. Gives nothing unless complete, else for each {value, score of its member} as they are kept, for the check.

if not complete then
  return false
end
local answer = {}
for n, user in ipairs(ARGV) do
  local member, _, value = find(user)
  answer[n] = {value, member and redis.call('ZSCORE', order, member)}
end
return answer
