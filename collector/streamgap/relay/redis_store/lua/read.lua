-- ARGV[3] epoch, [4] number of the last entry that the reader has, [5] most entries to return.
-- Returns the standing, the ms until its owner counts as silent, the number of the first entry to return, and the entries
-- from there; nothing where the key is unknown.

local epoch, from, most = tonumber(ARGV[3]), tonumber(ARGV[4]) + 1, ARGV[5]
local at = look_for_silence()

if not at then
  return false
end
local entries = {}
if at.epoch == epoch then
  from = math.max(from, at.first)
end
if at.epoch == epoch and from <= at.seq then
  local held = redis.call('XRANGE', LOG, entry_id(epoch, from), entry_id(epoch, at.seq), 'COUNT', most)
  if not held[1] or held[1][1] ~= entry_id(epoch, from) then
    -- The server has evicted what it says it has: gone, so that the owner puts it back from its memory.
    redis.call('DEL', META, LOG, READERS)
    return false
  end
  for i, entry in ipairs(held) do
    entries[i] = entry[2][2]
  end
end
return {told(at), at.lease - NOW_MS, from, entries}
