-- ARGV: epoch, and for each, 'u' and a user, or 's', a sort, a blank and a user; or the same with 'U' and 'S'. Gives nothing unless
-- complete, else how many players there are, then for each user {sort, how many are ahead, username} or nothing, and for each sort
-- how many others than the user are ahead of it. With capitals a user's has two more, and a sort's is {how many, two more}, unless
-- nobody is ahead: the next better sort, and how many are ahead of that one.

if not complete then
  return false
end

-- Of others than the one whose own member stands strictly before a sort (nil: it does not), the last of so many who do: their sort,
-- and how many are ahead of it.
local function next_better(before, own, own_sort)
  local last = redis.call('ZRANGE', order, integer(before - 1), integer(before - 1), 'WITHSCORES')
  if last[1] == own then
    last = redis.call('ZRANGE', order, integer(before - 2), integer(before - 2), 'WITHSCORES')
  end
  local better = last[2]
  return better, ahead_of(better) - (own and tonumber(own_sort) < tonumber(better) and 1 or 0)
end

local answer = {count}
for n = 1, #ARGV - 1 do
  local kind, asked = string.match(ARGV[n + 1], '^(%a)(.*)')
  local told = false
  if kind == 'u' or kind == 'U' then
    local member, username = find(asked)
    local sort = member and redis.call('ZSCORE', order, member)
    if sort then
      local ahead = ahead_of(sort)
      told = {sort, ahead, username}
      if kind == 'U' and ahead > 0 then
        told[4], told[5] = next_better(ahead)
      end
    end
  elseif kind == 's' then
    local sort, user = string.match(asked, '^(%S+) (%d+)$')
    told = ahead_of_others(sort, user)
  else
    local sort, user = string.match(asked, '^(%S+) (%d+)$')
    local member = find(user)
    local own_sort = member and redis.call('ZSCORE', order, member)
    local own = own_sort and tonumber(own_sort) < tonumber(sort) and member or nil
    local before = ahead_of(sort)
    local ahead = before - (own and 1 or 0)
    told = {ahead}
    if ahead > 0 then
      told[2], told[3] = next_better(before, own, own_sort)
    end
  end
  answer[n + 1] = told
end
return answer
