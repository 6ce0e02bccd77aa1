-- Stands in front of a script that asks and writes in one step: it answers only while the group may be
-- asked. KEYS[1]: the group's view. The last two of ARGV: the server, and the prefix of all its keys.
local server, prefix = table.remove(ARGV, #ARGV - 1), table.remove(ARGV, #ARGV)
local known = redis.call('HMGET', KEYS[1], 'epoch', 'ready', 'server')
if not known[1] or not known[2] then return false end
if known[3] ~= server then return redis.status_reply('FOREIGN') end
local base = prefix .. known[1] .. ':'
