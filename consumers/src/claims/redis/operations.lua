-- What a record does to its claim's key, c:<name>: r (request ‖ message id), f (position of the first
-- record). `life`: ms from the claim on.
local operations = {}

function operations.seen(base, name, first, life, held)
  local key = base .. 'c:' .. name
  redis.call('HSETNX', key, 'r', held)
  redis.call('HSETNX', key, 'f', first)
  redis.call('PEXPIRE', key, life, 'NX')
end
