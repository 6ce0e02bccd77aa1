-- What news does to a message's key, m:<message>: a (its acceptance), r:<place> (statuses),
-- e:<place> (attempts and waiting; at most 32, the oldest leave). `life`: ms from its first news on.
local operations = {}
local most = 32

local function keep(key, life)
  redis.call('PEXPIRE', key, life, 'NX')
end

function operations.accepted(base, id, field, life, value)
  redis.call('HSETNX', base .. 'm:' .. id, field, value)
  keep(base .. 'm:' .. id, life)
end

function operations.event(base, id, field, life, value)
  local key = base .. 'm:' .. id
  redis.call('HSET', key, field, value)
  keep(key, life)
  if redis.call('HLEN', key) <= most then return end
  local unranked = {}
  for _, name in ipairs(redis.call('HKEYS', key)) do
    if string.sub(name, 1, 2) == 'e:' then table.insert(unranked, name) end
  end
  table.sort(unranked)
  for i = 1, #unranked - most do redis.call('HDEL', key, unranked[i]) end
end
