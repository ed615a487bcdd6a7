-- KEYS after the first two: rendered pages. ARGV: epoch, and for each page limit, offset, the sort and the key of the row that it
-- comes after ('' twice = from the offset on), and the generation of the page that the asker has ('' = none).
-- Gives nothing unless complete, else {generation, players, ...} and for each page: 0 (the asker has it), a string
-- (rendered before, under this generation) or {how many stand before it, rows}.

if not complete then
  return false
end

-- Whether the first key comes after the second, by their bytes: the comparison of strings goes by the server's language.
local function is_after(one, other)
  for i = 1, math.max(#one, #other) do
    local a, b = string.byte(one, i) or 0, string.byte(other, i) or 0
    if a ~= b then
      return a > b
    end
  end
  return false
end

-- How many stand before or at a row, whether or not it is there: of those with its sort, the first whose key comes after its key
-- is found by halves.
local function upto(sort, key)
  local low, high = ahead_of(sort), redis.call('ZCOUNT', order, '-inf', sort)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local member = redis.call('ZRANGE', order, integer(middle), integer(middle))[1]
    if is_after(string.sub(member, 1, string.byte(member) - 47), key) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

local answer = {generation, count}
for n = 1, #KEYS - 2 do
  local limit, offset, sort, key, known = unpack(ARGV, 5 * n - 3, 5 * n + 1)
  if known == generation then
    answer[#answer + 1] = 0
  else
    local page = redis.call('GET', KEYS[n + 2])
    if page and string.sub(page, 1, #generation + 1) == generation .. ' ' then
      answer[#answer + 1] = string.sub(page, #generation + 2)
    else
      local first = sort == '' and tonumber(offset) or upto(sort, key)
      answer[#answer + 1] = {first, rows(integer(first), integer(first + tonumber(limit) - 1))}
    end
  end
end
return answer
