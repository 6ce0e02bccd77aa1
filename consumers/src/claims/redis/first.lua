-- The first record under each claim. ARGV: life, then for each {name, request ‖ message id, position}.
-- Answers {held, position} for each.
local firsts = {}
for at = 2, #ARGV, 3 do
  local key = base .. 'c:' .. ARGV[at]
  redis.call('HSETNX', key, 'r', ARGV[at + 1])
  redis.call('HSETNX', key, 'f', ARGV[at + 2])
  redis.call('PEXPIRE', key, ARGV[1], 'NX')
  local found = redis.call('HMGET', key, 'r', 'f')
  table.insert(firsts, found[1])
  table.insert(firsts, found[2])
end
return firsts
