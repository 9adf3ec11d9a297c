-- ARGV[3] reason. Returns the standing; nothing where the key is unknown.

local at = look_for_silence()

if not at then
  return false
end
if at.status == 'running' then
  finish(at, 'stopped', ARGV[3])
end
return told(at)
