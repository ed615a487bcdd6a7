-- ARGV: epoch, token ('' = live), nonce, lease in milliseconds, expiry ('' = none), and a JSON array of strings, five for each
-- player: user, version, sort ('' = removed), key, username. One argument and not a thousand, because clients take longer to send
-- those than this takes.
-- Gives OK, INCOMPLETE (live, and there is no index that could be kept up to date), OTHER (live, and the index is of another
-- epoch) or STALE (another builds, or nobody). Live and complete it is OK and, for each player, how many others are ahead of that
-- sort now, or nothing if removed.

local token, nonce, lease, expiry = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local row = cjson.decode(ARGV[6])
local WIDTH, MOST = 5, 200

local function key_length(key)
  return string.byte(key) - 47
end

-- What a script wrote before an error stays written: so everything is checked first.
if #row % WIDTH ~= 0 or #row > WIDTH * MOST or not lease or nonce == '' or not string.match(expiry, '^%d*$') then
  return redis.error_reply('ERR rows of ' .. WIDTH .. ', at most ' .. MOST)
end
-- The newest row of each player.
local users, newest = {}, {}
for i = 1, #row, WIDTH do
  local live = row[i + 2] ~= ''
  if
    not string.match(row[i], '^[1-9]%d*$')
    or not string.match(row[i + 1], '^%d+$')
    or live and not (string.match(row[i + 2], '^%-?%d+$') and string.match(row[i + 3], '^[0-;][%w_-]*$') and #row[i + 3] == key_length(row[i + 3]))
  then
    return redis.error_reply('ERR malformed row of player ' .. row[i])
  end
  local user = row[i]
  if not newest[user] then
    users[#users + 1] = user
  end
  -- Versions are counters of one row's changes: doubles are exact for longer than any row lives.
  if not newest[user] or tonumber(row[i + 1]) > tonumber(row[newest[user] + 1]) then
    newest[user] = i
  end
end

if token == '' then
  if not (whole or builder) then
    return {'INCOMPLETE'}
  end
  if not ours then
    return {'OTHER'}
  end
elseif builder ~= token then
  return {'STALE'}
end

local old = #users > 0 and redis.call('HMGET', players, unpack(users)) or {}
-- What is to be written, gathered first: a call of many costs a fraction of many calls.
local values, members, gone = {}, {}, {}
local written, more = {}, 0
for n, user in ipairs(users) do
  local i = newest[user]
  local version, sort, key, username = row[i + 1], row[i + 2], row[i + 3], row[i + 4]
  local known, old_key, old_username = parse(old[n])
  if not known or tonumber(version) > tonumber(known) then
    local was = known and old_key ~= ''
    local live = sort ~= ''
    values[#values + 1] = user
    values[#values + 1] = live and version .. ' ' .. key .. ' ' .. username or version
    if live then
      members[#members + 1] = sort
      members[#members + 1] = member_of(key, user, username)
    end
    if was and not (live and old_key == key and old_username == username) then
      gone[#gone + 1] = member_of(old_key, user, old_username)
    end
    -- Counted by what the hash says, so that members which got lost without the hash are still missed.
    more = more + (live and 1 or 0) - (was and 1 or 0)
    written[i] = true
  end
end
local changed = #values > 0
-- First what needs memory: full, the server refuses it before anything has changed.
if changed then
  redis.call('HSET', players, unpack(values))
end
if #members > 0 then
  redis.call('ZADD', order, unpack(members))
end
if #gone > 0 then
  redis.call('ZREM', order, unpack(gone))
end

if more ~= 0 then
  redis.call('HSET', players, '#count', integer(count + more))
end
if token ~= '' then
  redis.call('HSET', players, '#until', integer(milliseconds() + lease))
elseif changed and complete then
  redis.call('HSET', players, '#generation', nonce)
end
expire(expiry)
local answer = {'OK'}
if token == '' and complete then
  answer[2] = count + more
  for i = 1, #row, WIDTH do
    local sort = row[i + 2]
    -- Where the index has a player since just now: nobody is ahead of themselves there.
    answer[#answer + 1] = sort ~= '' and (written[i] and ahead_of(sort) or ahead_of_others(sort, row[i]))
  end
end
return answer
