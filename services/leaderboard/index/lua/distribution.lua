-- ARGV: epoch, 1 where the sort is the score or -1 where it is the score negated, per cents with blanks between, and for each, how
-- many bins there may be. Gives nothing unless complete, else how many players there are, {the least sort by score, the greatest,
-- and those of the per cents}, and for each how many players each of its bins has; nothing of either where there is nobody.
-- rules/distribution.py says what bins and per cents are.

if not complete then
  return false
end
if count == 0 then
  return {count}
end

local sign = tonumber(ARGV[2])

-- The sort of a player by place, counted from 1, the least score first.
local function sort_at(place)
  local at = integer(sign > 0 and place - 1 or count - place)
  return redis.call('ZRANGE', order, at, at, 'WITHSCORES')[2]
end

-- The whole part of a quotient and the rest: exact, where / alone would round.
local function divide(number, by)
  local rest = math.fmod(number, by)
  local whole = (number - rest) / by
  if rest < 0 then
    return whole - 1, rest + by
  end
  return whole, rest
end

local sorts = {sort_at(1), sort_at(count)}
for percent in string.gmatch(ARGV[3], '%d+') do
  sorts[#sorts + 1] = sort_at(math.floor((percent * count + 99) / 100))
end
local least, greatest = sign * tonumber(sorts[1]), sign * tonumber(sorts[2])

-- How wide at most so many bins are. From the least score to the greatest may be more than a number holds, but not half of it.
local function width_of(most)
  if most == 1 then
    return math.huge
  end
  local whole, rest = divide(greatest, most)
  local least_whole, least_rest = divide(least, most)
  return whole - least_whole - (rest < least_rest and 1 or 0) + 1
end

local answer = {count, sorts}
for n = 4, #ARGV do
  local width = width_of(tonumber(ARGV[n]))
  local counts, first = {}, least
  while first <= greatest do
    local last = math.min(first + width - 1, greatest)
    local from, to = first, last
    if sign < 0 then
      from, to = -last, -first
    end
    counts[#counts + 1] = redis.call('ZCOUNT', order, integer(from), integer(to))
    first = last + 1
  end
  answer[n - 1] = counts
end
return answer
