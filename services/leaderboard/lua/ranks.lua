-- ARGV: for each, 'u' and a user, or 's', a score, a blank and a user. Gives nothing unless complete, else for each user {score,
-- how many are ahead, value} or nothing, and for each score how many others than the user are ahead of it.

if not complete then
  return false
end

-- The score and the value of a user, or nothing.
local function find(user)
  local value = redis.call('HGET', players, user)
  local key = value and string.match(value, '^%d+ (%S+)')
  if key then
    return redis.call('ZSCORE', order, key .. user), value
  end
end

local answer = {}
for n, asked in ipairs(ARGV) do
  if string.sub(asked, 1, 1) == 's' then
    local score, user = string.match(asked, '^s(%S+) (%d+)$')
    local own = find(user)
    local ahead = ahead_of(score)
    if own and tonumber(own) < tonumber(score) then
      ahead = ahead - 1
    end
    answer[n] = ahead
  else
    local user = string.sub(asked, 2)
    local score, value = find(user)
    answer[n] = score and {score, ahead_of(score), value} or false
  end
end
return answer
