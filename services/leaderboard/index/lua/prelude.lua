-- Goes before every script. KEYS: players, order. ARGV[1]: the epoch that the caller knows (epoch.py says why), or ''.
-- players: HASH user -> "version key username" (removed: "version"), and the fields with # that are read here.
-- order: ZSET of "key user username" by sort; ZRANGE gives the board's order. A key's first character says how many follow it,
-- '0' none (layout.py says why), so no blank is between it and the user.
-- Numbers that are scores stay strings: tostring and the concatenation of numbers print 14 digits.

local players, order = KEYS[1], KEYS[2]
local epoch = ARGV[1]

-- The layout of both keys: processes of an older one, or a newer, do not believe what these here write.
local LAYOUT = '3'
-- Changes on a restart and on a promotion: what is complete under another one may lack what was acknowledged since.
local era = LAYOUT .. ':' .. string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local kept = redis.call('HMGET', players, '#complete', '#token', '#until', '#count', '#generation', '#epoch', '#build')
local count = tonumber(kept[4])
-- Whether neither key was evicted or deleted without the other.
local sound = count ~= nil and redis.call('ZCARD', order) == count
local whole = sound and kept[1] == era
-- Whether it was begun in the epoch that the caller knows.
local ours = kept[6] == epoch
local complete = whole and ours
local generation = kept[5]

-- The token of whoever builds the index in this era, or nil.
local builder = nil
if count and kept[2] and string.sub(kept[2], 1, #era + 1) == era .. ':' then
  builder = string.sub(kept[2], #era + 2)
end

local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function integer(number)
  return string.format('%.0f', number)
end

-- Every script that writes ends with this, for both keys: one that lost its last member, and was made anew, has no expiry.
-- at: milliseconds since 1970, or '' where the index never expires.
local function expire(at)
  if at ~= '' then
    redis.call('PEXPIREAT', players, at)
    redis.call('PEXPIREAT', order, at)
  end
end

-- How many stand strictly before a sort.
local function ahead_of(sort)
  return redis.call('ZCOUNT', order, '-inf', '(' .. sort)
end

-- What a value of a user says: version, key and username; the version alone of one who was removed.
local function parse(value)
  return string.match(value or '', '^(%d+) ?(%S*) ?(.*)')
end

local function member_of(key, user, username)
  return key .. user .. ' ' .. username
end

-- The member of a user and their username, or nil twice; and their value.
local function find(user)
  local value = redis.call('HGET', players, user)
  local _, key, username = parse(value)
  if key and key ~= '' then
    return member_of(key, user, username), username, value
  end
  return nil, nil, value
end

-- How many others than the user stand strictly before a sort.
local function ahead_of_others(sort, user)
  local member = find(user)
  local own = member and redis.call('ZSCORE', order, member)
  return ahead_of(sort) - (own and tonumber(own) < tonumber(sort) and 1 or 0)
end

-- Players from one place to another, two lines each: how many are ahead of the first, then member and sort of each.
-- One string, since clients take longer for many small values than this takes.
local function rows(first, last)
  local found = redis.call('ZRANGE', order, first, last, 'WITHSCORES')
  if #found == 0 then
    return '0'
  end
  return ahead_of(found[2]) .. '\n' .. table.concat(found, '\n')
end
