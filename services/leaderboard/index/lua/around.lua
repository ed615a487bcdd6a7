-- ARGV: epoch, and for each, a user and how many players on either side. Gives nothing unless complete, else for each
-- {how many stand before the first, rows} or nothing.

if not complete then
  return false
end
local answer = {}
for n = 1, (#ARGV - 1) / 2 do
  local user, radius = ARGV[2 * n], tonumber(ARGV[2 * n + 1])
  local member = find(user)
  if member then
    local place = redis.call('ZRANK', order, member)
    local first = math.max(0, place - radius)
    answer[n] = {first, rows(integer(first), integer(place + radius))}
  else
    answer[n] = false
  end
end
return answer
