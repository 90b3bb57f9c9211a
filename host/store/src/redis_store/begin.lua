-- Says that a partition's log is followed from its beginning, unless somebody else has said something meanwhile.
--
-- KEYS: the marker. ARGV: partition, what the marker says so far or nothing, what it says from now on. Answers 1 or 0.

local held = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if held ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
