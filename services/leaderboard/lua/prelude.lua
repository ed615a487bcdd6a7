-- Goes before every script. KEYS: players, order.
-- players: HASH user -> "version key username" (removed: "version"), and the fields with # that are read here.
-- order: ZSET of key .. user by score; ZRANGE gives the board's order. A key's first character says how many follow it,
-- '0' none (index.py says why).
-- Numbers that are scores stay strings: tostring and the concatenation of numbers print 14 digits.

local players, order = KEYS[1], KEYS[2]

local function key_length(key)
  return string.byte(key) - 47
end

-- Changes on a restart and on a promotion: what is complete under another one may lack what was acknowledged since.
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local kept = redis.call('HMGET', players, '#complete', '#token', '#until', '#count', '#generation', '#cause')
local count = tonumber(kept[4])
-- Whether neither key was evicted or deleted without the other.
local sound = count ~= nil and redis.call('ZCARD', order) == count
local complete = sound and kept[1] == replid
local generation = kept[5]

-- The token of whoever builds the index under this replid, or nil.
local builder = nil
if count and kept[2] and string.sub(kept[2], 1, #replid + 1) == replid .. ':' then
  builder = string.sub(kept[2], #replid + 2)
end

local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function integer(number)
  return string.format('%.0f', number)
end

-- How many stand strictly before a score.
local function ahead_of(score)
  return redis.call('ZCOUNT', order, '-inf', '(' .. score)
end

-- The score and the value of a user, or nothing.
local function find(user)
  local value = redis.call('HGET', players, user)
  local key = value and string.match(value, '^%d+ (%S+)')
  if key then
    return redis.call('ZSCORE', order, key .. user), value
  end
end

-- How many others than the user stand strictly before a score.
local function ahead_of_others(score, user)
  local own = find(user)
  return ahead_of(score) - (own and tonumber(own) < tonumber(score) and 1 or 0)
end

-- Players from one place to another, a line each: how many are ahead of the first, then "user score version key username" of
-- each. One string, since clients take longer for many small values than this takes.
local function rows(first, last)
  local found = redis.call('ZRANGE', order, first, last, 'WITHSCORES')
  if #found == 0 then
    return '0'
  end
  local users = {}
  for i = 1, #found, 2 do
    users[#users + 1] = string.sub(found[i], key_length(found[i]) + 1)
  end
  local values = redis.call('HMGET', players, unpack(users))
  local lines = {ahead_of(found[2])}
  for n, user in ipairs(users) do
    lines[n + 1] = user .. ' ' .. found[2 * n] .. ' ' .. values[n]
  end
  return table.concat(lines, '\n')
end
