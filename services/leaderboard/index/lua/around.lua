-- ARGV: epoch, and for each, a user and how many players on either side. Gives nothing unless complete, else how many players
-- there are, and for each {how many stand before the first, rows} or nothing.

if not complete then
  return false
end
local answer = {count}
for n = 1, (#ARGV - 1) / 2 do
  local user, radius = ARGV[2 * n], tonumber(ARGV[2 * n + 1])
  local member = find(user)
  if member then
    local place = redis.call('ZRANK', order, member)
    local first = math.max(0, place - radius)
    answer[n + 1] = {first, rows(integer(first), integer(place + radius))}
  else
    answer[n + 1] = false
  end
end
return answer
