-- Claims one name, or tells what is held under it. ARGV: name, request ‖ message id, life.
-- `base` stands for the epoch's keys. Answers {held or '', whether the first record is known}.
local key = base .. 'c:' .. ARGV[1]
if redis.call('HSETNX', key, 'r', ARGV[2]) == 1 then
  redis.call('PEXPIRE', key, ARGV[3])
  return {'', 0}
end
return {redis.call('HGET', key, 'r'), redis.call('HEXISTS', key, 'f')}
