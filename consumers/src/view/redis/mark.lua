-- Marks one slot group ready. KEYS[1]: its view. ARGV: epoch, server.
local known = redis.call('HMGET', KEYS[1], 'epoch', 'server')
if known[1] ~= ARGV[1] or known[2] ~= ARGV[2] then return 'lost' end
redis.call('HSET', KEYS[1], 'ready', '1')
return 'ok'
