-- ARGV: epoch, and for each, a user, how many players on either side, and the digest of what the asker knows of them, or ''.
-- Gives nothing unless complete, else how many players there are, and for each {how many stand before the first, rows}, 1 if
-- the asker knows it (questions.py has the digest), or nothing.

if not complete then
  return false
end
local answer = {count}
for n = 1, (#ARGV - 1) / 3 do
  local user, radius, known = ARGV[3 * n - 1], tonumber(ARGV[3 * n]), ARGV[3 * n + 1]
  local member = find(user)
  if member then
    local place = redis.call('ZRANK', order, member)
    local first = math.max(0, place - radius)
    local found = rows(integer(first), integer(place + radius))
    if known ~= '' and known == redis.sha1hex(integer(count) .. ' ' .. integer(first) .. ' ' .. found) then
      answer[n + 1] = 1
    else
      answer[n + 1] = {first, found}
    end
  else
    answer[n + 1] = false
  end
end
return answer
