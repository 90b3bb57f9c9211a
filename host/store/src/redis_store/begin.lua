-- Says that a partition's log is followed from its beginning, unless somebody else has said something meanwhile.
--
-- KEYS: the marker. ARGV: partition, what the marker says so far or nothing, what it says from now on. Answers 1 or 0.

local held = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if held ~= ARGV[2] then return 0 end

-- A bucket is of one source: what another said goes, of all partitions. Each begins with the first, so that there is none
-- of which the first partition says nothing.
local SOURCE = 76
local function source(said) return string.sub(said, SOURCE, string.find(said, '\n', SOURCE, true)) end
local first = redis.call('HGET', KEYS[1], '0')
if first and source(first) ~= source(ARGV[3]) then
    for partition = 0, tonumber(string.sub(first, SOURCE - 10, SOURCE - 1)) - 1 do
        redis.call('HDEL', KEYS[1], partition)
    end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
