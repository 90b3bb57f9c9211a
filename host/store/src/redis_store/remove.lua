-- Removes keys whose names match a pattern, a page of them.
--
-- KEYS: a key on the same node. ARGV: where the page begins, the pattern. Answers where the next page begins, and how many keys
-- went.

local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 1000)
local removed = 0
for _, key in ipairs(page[2]) do removed = removed + redis.call('UNLINK', key) end
return {page[1], removed}
