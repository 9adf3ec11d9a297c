-- Comes first in every script: what is known of one key, and the two ways it changes.
--
-- KEYS[1]  hash: epoch, attempt (1 for the first epoch), fingerprint, status, reason, seq, first, lease (ms since 1970)
-- KEYS[2]  stream: entry <epoch>-<seq> with field d; an epoch that is over has the entry <epoch>-<seq + 1> besides,
--          which wakes whoever waits for more and is never read
-- KEYS[3]  sorted set: the replicas that listen, scored with the time (ms since 1970) until which their word counts
-- ARGV[1]  lease in ms; ARGV[2]  time in ms that an epoch is kept after its end
--
-- All three share one time to live, set anew by whatever writes (but for listeners whose word counts for longer). This
-- server's clock is the only one.

local META, LOG, READERS = KEYS[1], KEYS[2], KEYS[3]
local LEASE_MS, KEEP_MS = tonumber(ARGV[1]), tonumber(ARGV[2])
local TIME = redis.call('TIME')
local NOW_MS = TIME[1] * 1000 + math.floor(TIME[2] / 1000)

local function keep_for(ms)
  for _, key in ipairs(KEYS) do
    redis.call('PEXPIREAT', key, NOW_MS + ms)
  end
end

local function entry_id(epoch, seq)
  return string.format('%d-%d', epoch, seq)
end

local function look()
  local held = redis.call('HMGET', META, 'epoch', 'attempt', 'fingerprint', 'status', 'reason', 'seq', 'first', 'lease')
  if not held[1] then
    return nil
  end
  return {
    epoch = tonumber(held[1]), attempt = tonumber(held[2]), fingerprint = held[3], status = held[4], reason = held[5],
    seq = tonumber(held[6]), first = tonumber(held[7]), lease = tonumber(held[8]), lost = 0,
  }
end

-- Without `last_id`, that of the last entry of the epoch before, which stays to wake who still waits there, nothing of
-- the stream stays: where there is one, the server has evicted half of what it knew.
-- HSET comes first: a server without memory refuses the first thing a script writes, or else nothing.
local function begin(epoch, attempt, fingerprint, last_id)
  redis.call('HSET', META, 'epoch', epoch, 'attempt', attempt, 'fingerprint', fingerprint, 'status', 'running',
    'reason', '', 'seq', 0, 'first', 1, 'lease', NOW_MS + LEASE_MS)
  if last_id then
    redis.call('XTRIM', LOG, 'MINID', '=', last_id)
  else
    redis.call('DEL', LOG)
  end
  keep_for(LEASE_MS + KEEP_MS)
  return look()
end

local function finish(at, status, reason)
  at.status, at.reason = status, reason
  redis.call('HSET', META, 'status', status, 'reason', reason)
  redis.call('XADD', LOG, entry_id(at.epoch, at.seq + 1), 'end', '')
  keep_for(KEEP_MS)
end

local function look_for_silence()
  local at = look()
  if at and at.status == 'running' and NOW_MS >= at.lease then
    finish(at, 'failed', 'owner_lost')
    at.lost = 1
  end
  return at
end

local function told(at)
  return {at.epoch, at.fingerprint, at.status, at.reason, at.seq, at.first, at.lost}
end

