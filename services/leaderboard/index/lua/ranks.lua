-- ARGV: for each, 'u' and a user, or 's', a score, a blank and a user. Gives nothing unless complete, else for each user {score,
-- how many are ahead, username} or nothing, and for each score how many others than the user are ahead of it.

if not complete then
  return false
end

local answer = {}
for n, asked in ipairs(ARGV) do
  if string.sub(asked, 1, 1) == 's' then
    local score, user = string.match(asked, '^s(%S+) (%d+)$')
    answer[n] = ahead_of_others(score, user)
  else
    local user = string.sub(asked, 2)
    local member, username = find(user)
    local score = member and redis.call('ZSCORE', order, member)
    answer[n] = score and {score, ahead_of(score), username} or false
  end
end
return answer
