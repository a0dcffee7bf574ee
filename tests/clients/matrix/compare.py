"""What a client sent and what arrived, made comparable."""

import json
import re

# Each hop has its own of these: the gateway's Host is the upstream's, and a submission that it holds has a length.
HOP = {"host", "connection", "proxy-connection", "keep-alive", "content-length", "transfer-encoding"}

NOCACHE_PART = '--{}\r\nContent-Disposition: form-data; name="nocache"\r\n\r\n1\r\n'


def fields_of(request):
    return dict(map(tuple, request["fields"]))


def boundary(request):
    """A multipart boundary, which is random."""
    found = re.search('boundary="?([^";]+)', fields_of(request).get("content-type", ""))
    return found.group(1) if found else None


def sort(text):
    return "&".join(sorted(text.split("&")))


def comparable(request, is_shuffled=False):
    """A request without what differs from hop to hop and from run to run. `is_shuffled` is for a client that sends the
    parameters of a form in an order of chance."""
    fields = [field for field in request["fields"] if field[0] not in HOP]
    comparable = {**request, "fields": fields}
    if is_shuffled:
        path, _, query = request["target"].partition("?")
        comparable.update(target=f"{path}?{sort(query)}", body=sort(request["body"]))
    random = boundary(request)
    return json.loads(json.dumps(comparable).replace(random, "BOUNDARY")) if random else comparable


def is_submission(request):
    return request["target"].split("?")[0] in ("/createTask", "/in.php")


def syntax(request):
    """In what a submission says what it says."""
    if request["body"].startswith("{"):
        return "JSON"
    if boundary(request):
        return "multipart"
    return "form" if request["body"] else "query"


def without_nocache(request):
    """A submission as it was before nocache was inserted at the one place where it belongs, and the text that was
    inserted. Fails if it is not there, exactly once."""
    target, body = request["target"], request["body"]
    kind = syntax(request)
    if kind == "query":
        text, end = "&nocache=1", len(target)
    elif kind == "form":
        text, end = "&nocache=1", len(body)
    elif kind == "multipart":
        text = NOCACHE_PART.format(boundary(request))
        end = body.rindex(f"--{boundary(request)}--")
    elif "task" in json.loads(body):
        text = ',"nocache":true'
        # No client here has a brace in its task but the last.
        end = body.index("}", body.index('"task"'))
    else:
        text, end = ',"nocache":1', body.rindex("}")
    whole = target if kind == "query" else body
    if whole.lower().count("nocache") != 1 or not whole[:end].endswith(text):
        raise AssertionError(f"nocache is not at its place: {whole}")
    rest = whole[: end - len(text)] + whole[end:]
    return {**request, "target" if kind == "query" else "body": rest}, text


def shape(request):
    """Method, path, content type and kind of content of a submission."""
    fields = fields_of(request)
    path = request["target"].split("?")[0]
    kind = syntax(request)
    content_type = fields.get("content-type", "").split("; boundary")[0]
    if kind == "JSON":
        task = json.loads(request["body"]).get("task")
        kind = f"`{task['type']}`" if task else "JSON"
    said = f"`{content_type}`" if content_type else "no Content-Type"
    return f"`{request['method']} {path}`, " + (kind if kind == "query" else f"{said}, {kind}")
