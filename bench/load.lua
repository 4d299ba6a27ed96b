-- What wrk sends, said by the environment, and what it says at its end: one line of JSON.
--   BENCH_METHOD, BENCH_PATH (`{n}` becomes one of 10,000 numbers), BENCH_BODY, BENCH_TOKEN, BENCH_DELAY (milliseconds
--   that each connection waits between an answer and its next request, about)
local method = os.getenv("BENCH_METHOD") or "GET"
local path = os.getenv("BENCH_PATH")
local body = os.getenv("BENCH_BODY")
local wait = tonumber(os.getenv("BENCH_DELAY") or "0")

local headers = {}
if body then headers["Content-Type"] = "application/json" end
if os.getenv("BENCH_TOKEN") then headers["Authorization"] = "Bearer " .. os.getenv("BENCH_TOKEN") end

local asked = 0
local numbered = path:find("{n}", 1, true) ~= nil
local same = nil

request = function()
  if not numbered then
    same = same or wrk.format(method, path, headers, body)
    return same
  end
  asked = asked + 1
  local number = 1 + (asked * 7919) % 10000
  return wrk.format(method, (path:gsub("{n}", tostring(number))), headers, body)
end

-- Not all at the same moment: a burst would measure its own queue.
if wait > 0 then
  delay = function() return math.random(math.floor(wait / 2), math.ceil(wait * 3 / 2)) end
end

done = function(summary, latency)
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "p50": %.3f, "p99": %.3f, "max": %.3f, "bad": %d, "lost": %d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
