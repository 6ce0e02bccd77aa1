-- Applies one read to one slot group, all or nothing.
-- KEYS[1]: the group's view. ARGV: epoch, server, now, prefix of the epoch's keys, number of
-- positions, then for each {field, least, next}, then operations of seven:
-- {kind, index of its position, offset, id, field, extra, value}.
-- `operations` stands in front of this text; each takes (base, id, field, extra, value). So does
-- `stale_ms`.
local view, base = KEYS[1], ARGV[4]
local known = redis.call('HMGET', view, 'epoch', 'server', 'at')
if known[1] ~= ARGV[1] or known[2] ~= ARGV[2] then return 'lost' end
-- It was out of reach for too long: tombstones may have passed. Who opens it again builds it anew.
if tonumber(ARGV[3]) - tonumber(known[3] or ARGV[3]) > stale_ms then return 'lost' end

local count, stood = tonumber(ARGV[5]), {}
for i = 0, count - 1 do
  local field, least = ARGV[6 + 3 * i], ARGV[7 + 3 * i]
  stood[i] = tonumber(redis.call('HGET', view, field) or 0)
  -- Behind what this projector has already applied: an older copy of the data took over.
  if stood[i] < tonumber(least) then return 'lost' end
end

for at = 6 + 3 * count, #ARGV, 7 do
  if tonumber(ARGV[at + 2]) >= stood[tonumber(ARGV[at + 1])] then
    operations[ARGV[at]](base, ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6])
  end
end

for i = 0, count - 1 do
  local next = ARGV[8 + 3 * i]
  if tonumber(next) > stood[i] then redis.call('HSET', view, ARGV[6 + 3 * i], next) end
end
redis.call('HSET', view, 'at', ARGV[3])
return 'ok'
