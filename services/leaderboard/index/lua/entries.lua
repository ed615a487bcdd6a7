-- ARGV: epoch, and users. Gives nothing unless complete, else for each of them {value, sort of their member} as they are kept, for
-- the check.

if not complete then
  return false
end
local answer = {}
for n = 2, #ARGV do
  local member, _, value = find(ARGV[n])
  answer[n - 1] = {value, member and redis.call('ZSCORE', order, member)}
end
return answer
