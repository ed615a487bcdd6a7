-- KEYS after the first two: rendered pages. ARGV: epoch, and for each page limit, offset, and the generation of the page that the
-- asker has ('' = none).
-- Gives nothing unless complete, else {generation, players, ...} and for each page: 0 (the asker has it), a string
-- (rendered before, under this generation) or {rows}.

if not complete then
  return false
end
local answer = {generation, count}
for n = 1, #KEYS - 2 do
  local limit, offset, known = tonumber(ARGV[3 * n - 1]), tonumber(ARGV[3 * n]), ARGV[3 * n + 1]
  if known == generation then
    answer[#answer + 1] = 0
  else
    local page = redis.call('GET', KEYS[n + 2])
    if page and string.sub(page, 1, #generation + 1) == generation .. ' ' then
      answer[#answer + 1] = string.sub(page, #generation + 2)
    else
      answer[#answer + 1] = {rows(integer(offset), integer(offset + limit - 1))}
    end
  end
end
return answer
