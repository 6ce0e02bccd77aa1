-- What a change does to a citizen's keys: c:<citizen> (profile, keys, devices, deaths, marks),
-- p:<citizen> (choices for services), i:<citizen> (stored messages), owners (message to citizen).
-- Every value begins with the 16 bytes of its generation, zeros where it has none.
local operations = {}
local none = string.rep('\0', 16)

local function home(base, id, field)
  local kind = string.match(field, '^%a+:')
  if kind == 'pref:' or kind == 'act:' or kind == 'unsub:' then return base .. 'p:' .. id end
  return base .. 'c:' .. id
end

local function is_erased(base, id, generation)
  return redis.call('HEXISTS', base .. 'c:' .. id, 'x:' .. generation) == 1
end

function operations.put(base, id, field, generation, value)
  redis.call('HDEL', base .. 'c:' .. id, 'h:' .. field)
  if generation == '' then generation = none elseif is_erased(base, id, generation) then return end
  redis.call('HSET', home(base, id, field), field, generation .. value)
end

function operations.remove(base, id, field)
  redis.call('HDEL', base .. 'c:' .. id, 'h:' .. field)
  redis.call('HDEL', home(base, id, field), field)
end

function operations.hold(base, id, field)
  redis.call('HSET', base .. 'c:' .. id, 'h:' .. field, '')
end

function operations.store(base, id, message, generation, value)
  if is_erased(base, id, generation) then return end
  redis.call('HSET', base .. 'i:' .. id, message, generation .. value)
  redis.call('HSET', base .. 'owners', message, id)
end

function operations.unstore(base, _, message)
  local owner = redis.call('HGET', base .. 'owners', message)
  if not owner then return end
  redis.call('HDEL', base .. 'i:' .. owner, message)
  redis.call('HDEL', base .. 'owners', message)
end

function operations.erase(base, id, field, generation, value)
  for _, kind in ipairs({ 'c:', 'p:', 'i:' }) do
    local key = base .. kind .. id
    local all = redis.call('HGETALL', key)
    for i = 1, #all, 2 do
      if string.sub(all[i + 1], 1, 16) == generation then
        redis.call('HDEL', key, all[i])
        if kind == 'i:' then redis.call('HDEL', base .. 'owners', all[i]) end
      end
    end
  end
  operations.put(base, id, field, '', value)
end
