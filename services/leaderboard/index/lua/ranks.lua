-- ARGV: epoch, and for each, 'u' and a user, or 's', a sort, a blank and a user. Gives nothing unless complete, else how many
-- players there are, then for each user {sort, how many are ahead, username} or nothing, and for each sort how many others than
-- the user are ahead of it.

if not complete then
  return false
end

local answer = {count}
for n = 1, #ARGV - 1 do
  local asked = ARGV[n + 1]
  if string.sub(asked, 1, 1) == 's' then
    local sort, user = string.match(asked, '^s(%S+) (%d+)$')
    answer[n + 1] = ahead_of_others(sort, user)
  else
    local user = string.sub(asked, 2)
    local member, username = find(user)
    local sort = member and redis.call('ZSCORE', order, member)
    answer[n + 1] = sort and {sort, ahead_of(sort), username} or false
  end
end
return answer
