-- Opens one slot group. KEYS[1]: its view. ARGV: an epoch to begin, the server, now.
-- A view met under another server was restarted or failed over: it keeps its data and positions, and
-- must catch up before it may be asked again.
local view = KEYS[1]
if redis.call('HSETNX', view, 'epoch', ARGV[1]) == 1 then
  redis.call('HSET', view, 'at', ARGV[3])
end
if redis.call('HGET', view, 'server') ~= ARGV[2] then
  redis.call('HDEL', view, 'ready')
  redis.call('HSET', view, 'server', ARGV[2])
end
return redis.call('HGETALL', view)
