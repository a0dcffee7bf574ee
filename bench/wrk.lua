-- The load: requests that are repeated, one after the other. Arguments: the pause after a response in ms, then for each request
-- METHOD TARGET BODY-FILE CONTENT-TYPE. Reports its end as one line of JSON.

function init(args)
  local requests = {}
  for first = 2, #args, 4 do
    local body, headers = assert(io.open(args[first + 2], "rb")):read("*a"), {}
    if body == "" then body = nil else headers["Content-Type"] = args[first + 3] end
    headers["Host"] = wrk.headers["Host"]
    wrk.method, wrk.path, wrk.headers, wrk.body = args[first], args[first + 1], headers, body
    requests[#requests + 1] = wrk.format()
  end
  -- Of one request wrk keeps the bytes and calls no Lua.
  if #requests > 1 then
    local last = 0
    function request()
      last = last % #requests + 1
      return requests[last]
    end
  end
  local pause = tonumber(args[1])
  if pause > 0 then
    function delay() return math.random(pause / 2, pause * 3 / 2) end
  end
end

function done(summary, latency)
  local errors = {}
  for _, kind in ipairs({ "connect", "read", "write", "status", "timeout" }) do
    errors[#errors + 1] = string.format('"%s":%d', kind, summary.errors[kind])
  end
  print(string.format('{"requests":%d,"seconds":%.6f,"p50":%.1f,"p99":%.1f,"errors":{%s}}', summary.requests,
    summary.duration / 1e6, latency:percentile(50), latency:percentile(99), table.concat(errors, ",")))
end
