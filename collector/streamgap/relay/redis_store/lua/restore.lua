-- ARGV[3] epoch, [4] fingerprint. Returns 1 where the key runs at that epoch afterwards, 0 where it is another's.

local epoch = tonumber(ARGV[3])
local at = look()

if at then
  return at.epoch == epoch and at.status == 'running' and 1 or 0
end
begin(epoch, 1, ARGV[4])
return 1
