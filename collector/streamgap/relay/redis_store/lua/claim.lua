-- ARGV[3] fingerprint, [4] '1': may start, [5] '1': retry, [6] most epochs of a key, [7] the epoch to start with

local fingerprint, may_start, retry, most, drawn = ARGV[3], ARGV[4] == '1', ARGV[5] == '1', tonumber(ARGV[6]), ARGV[7]
local at = look_for_silence()

if not at then
  if not may_start then
    return {'absent'}
  end
  return {'started', told(begin(drawn, 1, fingerprint))}
end
if at.fingerprint ~= '' and fingerprint ~= '' and at.fingerprint ~= fingerprint then
  return {'mismatch', told(at)}
end
if at.status == 'running' then
  return {'attached', told(at)}
end

local unheard = at.status == 'failed' and at.seq == 0
local again = may_start and at.attempt < most and at.status ~= 'done' and (unheard or retry)
if not again then
  return {'replayed', told(at)}
end
local anew = begin(at.epoch + 1, at.attempt + 1, at.fingerprint, entry_id(at.epoch, at.seq + 1))
anew.lost = at.lost
return {'restarted', told(anew)}
