-- The job in Lua for nginx: nocache on reCAPTCHA v2 and v3, for every site.
local cjson = require("cjson.safe")
local find = string.find

local types = {
  RecaptchaV2Task = true, RecaptchaV2TaskProxyless = true, NoCaptchaTask = true, NoCaptchaTaskProxyless = true,
  RecaptchaV3Task = true, RecaptchaV3TaskProxyless = true,
}
local job = {}

function job.create_task()
  ngx.req.read_body()
  local body = ngx.req.get_body_data()
  -- Images are large, and need not be parsed.
  if not body or not find(body, "aptcha", 1, true) then return end
  local request = cjson.decode(body)
  local task = type(request) == "table" and request.task
  if type(task) == "table" and types[task.type] and task.nocache == nil then
    task.nocache = true
    ngx.req.set_body_data(cjson.encode(request))
  end
end

local function with_nocache(parameters)
  if parameters and find(parameters, "method=userrecaptcha", 1, true) and not find(parameters, "nocache=", 1, true) then
    return parameters .. "&nocache=1"
  end
end

function job.legacy()
  local query = with_nocache(ngx.var.args)
  if query then
    ngx.req.set_uri_args(query)
    return
  end
  ngx.req.read_body()
  local form = with_nocache(ngx.req.get_body_data())
  if form then ngx.req.set_body_data(form) end
end

return job
