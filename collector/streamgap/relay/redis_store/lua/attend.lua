-- ARGV[3] replica, [4] ms for which somebody listens there; 0: no more

local listens_ms = tonumber(ARGV[4])

redis.call('ZREMRANGEBYSCORE', READERS, '-inf', NOW_MS)
if listens_ms <= 0 then
  redis.call('ZREM', READERS, ARGV[3])
elseif redis.call('EXISTS', META) == 1 then
  redis.call('ZADD', READERS, NOW_MS + listens_ms, ARGV[3])
  redis.call('PEXPIREAT', READERS, NOW_MS + math.max(listens_ms, redis.call('PTTL', META)))
end
return 1
