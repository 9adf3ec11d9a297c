-- ARGV[3] epoch, [4] number of the first entry offered, [5] number of the first to keep,
-- [6] status to end with or '', [7] its reason, [8 …] the entries

local OFFERED = 7
local epoch, first, keep_from = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local status, reason = ARGV[6], ARGV[7]
local last = first + #ARGV - OFFERED - 1
local at = look()

if not at then
  return {'gone'}
end
if at.epoch ~= epoch then
  return {'fenced', told(at)}
end
if at.status ~= 'running' then
  local repeated = at.status == status and at.reason == reason and last <= at.seq
  return {repeated and 'ok' or 'fenced', told(at)}
end
if first > at.seq + 1 and first > keep_from then
  return {'gap', told(at)}
end

at.seq = math.max(at.seq, first - 1)
for number = at.seq + 1, last do
  redis.call('XADD', LOG, entry_id(epoch, number), 'd', ARGV[OFFERED + 1 + number - first])
end
at.seq = math.max(at.seq, last)
keep_from = math.min(keep_from, at.seq + 1)
if keep_from > at.first then
  at.first = keep_from
  redis.call('XTRIM', LOG, 'MINID', '=', entry_id(epoch, at.first))
end
redis.call('HSET', META, 'seq', at.seq, 'first', at.first, 'lease', NOW_MS + LEASE_MS)
if status == '' then
  keep_for(LEASE_MS + KEEP_MS)
else
  finish(at, status, reason)
end
return {'ok', told(at), redis.call('ZCOUNT', READERS, '(' .. NOW_MS, '+inf')}
