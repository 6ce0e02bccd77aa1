-- Begins one slot group anew under another epoch. KEYS[1]: its view. ARGV: new epoch, server, now.
-- The keys of the former epoch are swept once the new one is ready.
local view = KEYS[1]
local former = redis.call('HGETALL', view)
redis.call('DEL', view)
for i = 1, #former, 2 do
  if former[i] == 'epoch' then redis.call('HSET', view, 'old:' .. former[i + 1], '') end
  if string.sub(former[i], 1, 4) == 'old:' then redis.call('HSET', view, former[i], '') end
end
redis.call('HSET', view, 'epoch', ARGV[1], 'server', ARGV[2], 'at', ARGV[3])
return 'ok'
