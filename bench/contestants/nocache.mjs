// The job in Node: nocache on reCAPTCHA v2 and v3, for every site. Arguments: PORT UPSTREAM-PORT
import http from 'node:http'

const [port, upstream] = process.argv.slice(2).map(Number)
const agent = new http.Agent({ keepAlive: true })
const types = new Set(['RecaptchaV2Task', 'RecaptchaV2TaskProxyless', 'NoCaptchaTask', 'NoCaptchaTaskProxyless', 'RecaptchaV3Task',
  'RecaptchaV3TaskProxyless'])

const withNocache = parameters =>
  parameters.includes('method=userrecaptcha') && !parameters.includes('nocache=') ? parameters + '&nocache=1' : parameters

function rewritten(path, body) {
  if (path === '/in.php') return Buffer.from(withNocache(body.toString('latin1')), 'latin1')
  // Images are large, and need not be parsed.
  if (!body.includes('aptcha')) return body
  const request = JSON.parse(body)
  if (!types.has(request.task?.type) || request.task.nocache !== undefined) return body
  request.task.nocache = true
  return Buffer.from(JSON.stringify(request))
}

function forward(request, response, target, body) {
  const headers = { ...request.headers, host: `127.0.0.1:${upstream}` }
  delete headers.connection
  if (body?.length) headers['content-length'] = body.length
  const out = http.request({ port: upstream, host: '127.0.0.1', method: request.method, path: target, headers, agent }, back => {
    response.writeHead(back.statusCode, back.headers)
    back.pipe(response)
  })
  out.on('error', () => response.destroy())
  if (body === undefined) request.pipe(out)
  else out.end(body)
}

const server = http.createServer((request, response) => {
  const [path, query] = request.url.split('?', 2)
  if (path !== '/createTask' && path !== '/in.php') return forward(request, response, request.url)
  const target = path === '/in.php' && query ? withNocache(request.url) : request.url
  const chunks = []
  request.on('data', chunk => chunks.push(chunk))
  request.on('end', () => forward(request, response, target, rewritten(path, Buffer.concat(chunks))))
})
server.keepAliveTimeout = 3600_000
server.listen({ port, host: '127.0.0.1', backlog: 4096 })
process.on('SIGTERM', () => process.exit(0))
