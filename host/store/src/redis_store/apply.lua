-- Writes changes of entities of one bucket, from one partition's log, and how far they lead. Nobody takes a part of it
-- for all: a script that fails on the way has said before that the bucket is not complete.
--
-- KEYS: the marker, then one key for each run of changes of an entity, or of its events.
-- ARGV: partition, stamp of the life, offset before, offset after, what the marker says from now on, then for each key
-- after the marker either
--   "s", value                        it is this string from now on
--   "p", n, n fields and values       these fields of the hash are set
--   "d", n, n fields                  these fields are removed
--
-- Offsets are 20 digits, so that they compare as texts. Answers 1 once the changes are in, now or before, and 0
-- if what they build on is not there.

local held = redis.call('HGET', KEYS[1], ARGV[1])
local stamp = ARGV[2]
if not held or string.sub(held, 1, #stamp) ~= stamp then return 0 end
local at = string.sub(held, #stamp + 1, #stamp + 20)
local function is_complete(said) return string.sub(said, #stamp + 21, #stamp + 21) == '1' end
if at < ARGV[3] then return 0 end
if at > ARGV[4] then return 1 end
if at == ARGV[4] and is_complete(held) then
    -- All of it is in. That it still is all that there is may be said anew.
    if #KEYS == 1 and is_complete(ARGV[5]) then redis.call('HSET', KEYS[1], ARGV[1], ARGV[5]) end
    return 1
end
if #KEYS > 1 and is_complete(held) then
    local begun = string.sub(held, 1, #stamp + 20) .. '0' .. string.sub(held, #stamp + 22)
    redis.call('HSET', KEYS[1], ARGV[1], begun)
end

-- What a call takes from the stack is limited.
local ARGUMENTS_MAX = 4000

local function in_parts(command, key, first, count)
    local last = first + count - 1
    while first <= last do
        local to = math.min(first + ARGUMENTS_MAX - 1, last)
        redis.call(command, key, unpack(ARGV, first, to))
        first = to + 1
    end
end

local next = 6
for place = 2, #KEYS do
    local key, kind = KEYS[place], ARGV[next]
    if kind == 's' then
        redis.call('SET', key, ARGV[next + 1])
        next = next + 2
    else
        local count = tonumber(ARGV[next + 1])
        local life = redis.call('HGET', key, 'life')
        -- What an earlier life left is no part of this one.
        if life and life ~= stamp then
            redis.call('UNLINK', key)
            life = nil
        end
        if kind == 'p' then
            if life ~= stamp then redis.call('HSET', key, 'life', stamp) end
            in_parts('HSET', key, next + 2, count)
        elseif life then
            in_parts('HDEL', key, next + 2, count)
            if redis.call('HLEN', key) == 1 then redis.call('UNLINK', key) end
        end
        next = next + 2 + count
    end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[5])
return 1
