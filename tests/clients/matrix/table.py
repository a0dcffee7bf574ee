"""The clients of the matrix: how each is run, and how its address is changed."""

import enum
import os
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.path.abspath(os.path.join(HERE, "../../../target"))
PROGRAM = os.environ["NOCACHE_GATEWAY_PROGRAM"]
# What a run makes of its local CA: authority.py.
CA = os.path.join(TARGET, "clients-ca")

# The services' names that are fixed in clients.
NAMES = [
    "api.capmonster.cloud",
    "2captcha.com",
    "api.2captcha.com",
    "rucaptcha.com",
    "api.rucaptcha.com",
    "api.anti-captcha.com",
]


class Way(enum.Enum):
    """How a client's address is changed."""

    SETTING = "a setting"
    TLS = "a setting and a trusted CA"
    VARIABLE = "an environment variable"
    PROXY = "an environment variable and a trusted CA"
    HOSTS = "the hosts file and a trusted CA"


@dataclass(frozen=True)
class Client:
    name: str
    # Its registry; none means that its requests are sent by its language's own HTTP stack.
    registry: str
    language: str
    command: tuple
    way: Way
    # The one line to change.
    line: str
    # How it is made to trust the CA: environment variables. Where no CA is needed, they are for going straight.
    trust: dict = field(default_factory=dict)
    note: str = ""
    # The language's own HTTP stack, where there is no registry.
    stack: str = ""
    # Whether it sends the parameters of a form in an order of chance.
    is_shuffled: bool = False
    # Whether it comes to no token straight either.
    is_broken: bool = False


OPENSSL = {"SSL_CERT_FILE": f"{CA}/bundle.pem"}
REQUESTS = {"REQUESTS_CA_BUNDLE": f"{CA}/bundle.pem"}
NODE = {"NODE_EXTRA_CA_CERTS": f"{CA}/made/ca.pem"}
JAVA = {"JAVA_TOOL_OPTIONS": f"-Djavax.net.ssl.trustStore={CA}/trust.p12 -Djavax.net.ssl.trustStorePassword=changeit"}


def python(name, way, line, trust={}, function=None, packages="python-more", note=""):
    command = (f"{TARGET}/clients-{packages}/bin/python", f"{HERE}/clients.py", function or name.replace("-", "_"))
    return Client(name, "PyPI", "Python", command, way, line, trust, note)


def node(name, way, line, note=""):
    trust = {} if way is Way.SETTING else NODE
    return Client(name, "npm", "JavaScript", ("node", f"{HERE}/clients.mjs", name), way, line, trust, note)


def rust(name, way, line, trust={}, **more):
    command = (f"{TARGET}/clients-rust/debug/matrix-clients", name)
    return Client(name, "crates.io", "Rust", command, way, line, trust, **more)


def other(name, language, way, line, trust={}, note=""):
    command, stack = STACKS[language]
    return Client(name, "", language, (*command, name), way, line, trust, note, stack)


# How the clients of a language are run whose registry is not used, and what sends their requests.
STACKS = {
    "Go": ((f"{TARGET}/clients-other/client-go",), "Go's `net/http`"),
    "PHP": (("php", "-d", f"curl.cainfo={CA}/bundle.pem", f"{HERE}/client.php"), "PHP's `curl`"),
    ".NET": (("mono", f"{TARGET}/clients-other/client.exe"), "Mono's `HttpClient`"),
    "Java": (("java", "-XX:TieredStopAtLevel=1", "-cp", f"{TARGET}/clients-other", "Client"), "Java's `HttpClient`"),
}

VARIABLE_LINE = "HTTPS_PROXY=http://127.0.0.1:6625"
PROXY_LINE = VARIABLE_LINE + " and {}"
REQUESTS_LINE = PROXY_LINE.format("REQUESTS_CA_BUNDLE=bundle.pem")
OPENSSL_LINE = PROXY_LINE.format("SSL_CERT_FILE=bundle.pem")
NODE_LINE = PROXY_LINE.format("NODE_EXTRA_CA_CERTS=ca.pem")
HOSTS_LINE = "127.0.0.1 {} and NODE_EXTRA_CA_CERTS=ca.pem"
WITHOUT_TLS = "It sends what is meant for https to its proxy in absolute form and without TLS, so that it needs no CA."

CLIENTS = {
    client.name: client
    for client in [
        python(
            "capmonstercloudclient",
            Way.SETTING,
            'ClientOptions(api_key=..., service_url="http://127.0.0.1:6622")',
            packages="python",
        ),
        python("capmonster-mcp", Way.PROXY, OPENSSL_LINE, OPENSSL),
        python("capmonster-python", Way.PROXY, OPENSSL_LINE, OPENSSL),
        python(
            "2captcha-python",
            Way.TLS,
            'TwoCaptcha(..., server="127.0.0.1:6626") and REQUESTS_CA_BUNDLE=bundle.pem',
            REQUESTS,
            "twocaptcha",
        ),
        python("python-rucaptcha", Way.PROXY, REQUESTS_LINE, REQUESTS),
        python("unicaps", Way.PROXY, OPENSSL_LINE, OPENSSL),
        python("anticaptchaofficial", Way.PROXY, REQUESTS_LINE, REQUESTS),
        python(
            "python3-anticaptcha",
            Way.VARIABLE,
            VARIABLE_LINE,
            note="It verifies no certificate. It polls 29 times in all, even once the token is there.",
        ),
        python("python-anticaptcha", Way.SETTING, 'AnticaptchaClient(..., host="127.0.0.1:6622", use_ssl=False)'),
        python("captchatools", Way.PROXY, REQUESTS_LINE, REQUESTS),
        python(
            "playwright-captcha",
            Way.TLS,
            'AsyncTwoCaptcha(..., server="127.0.0.1:6626") and SSL_CERT_FILE=bundle.pem',
            OPENSSL,
            packages="python-playwright",
            note="Without its browser: the solver alone.",
        ),
        python(
            "requests",
            Way.SETTING,
            'requests.get("http://127.0.0.1:6622/in.php", ...)',
            packages="python",
            note="A bot's own code.",
        ),
        node(
            "@zennolab_com/capmonstercloud-client",
            Way.SETTING,
            'new ClientOptions({ clientKey, serviceUrl: "http://127.0.0.1:6622" })',
        ),
        node("node-capmonster", Way.PROXY, NODE_LINE),
        node("2captcha", Way.HOSTS, HOSTS_LINE.format("2captcha.com")),
        node("2captcha-ts", Way.HOSTS, HOSTS_LINE.format("2captcha.com")),
        node("@2captcha/captcha-solver", Way.HOSTS, HOSTS_LINE.format("2captcha.com")),
        node("rucaptcha-2captcha", Way.VARIABLE, VARIABLE_LINE, note=WITHOUT_TLS),
        node("anticaptcha", Way.VARIABLE, VARIABLE_LINE, note=WITHOUT_TLS),
        node("@antiadmin/anticaptchaofficial", Way.PROXY, NODE_LINE),
        node(
            "puppeteer-extra-plugin-recaptcha",
            Way.HOSTS,
            HOSTS_LINE.format("2captcha.com"),
            note="Without its browser: the provider alone.",
        ),
        rust(
            "capmonstercloud-client",
            Way.SETTING,
            'ClientOptions::new(key).with_service_url("http://127.0.0.1:6622")',
        ),
        rust(
            "twocaptcha",
            Way.TLS,
            'TwoCaptchaConfig { server: Some("127.0.0.1:6626".into()), .. } and SSL_CERT_FILE=bundle.pem',
            OPENSSL,
            is_shuffled=True,
        ),
        rust(
            "captcha_oxide",
            Way.PROXY,
            OPENSSL_LINE,
            OPENSSL,
            is_broken=True,
            note="It comes to no token with the vendor's API, straight as well: it takes the `taskId: 0` of an error for "
            "a task's, and cannot read a solution without the members that 2captcha alone sends.",
        ),
        rust("rust-anticaptcha", Way.PROXY, OPENSSL_LINE, OPENSSL),
        other("capmonstercloud-client-go", "Go", Way.PROXY, OPENSSL_LINE, OPENSSL),
        other("2captcha-go", "Go", Way.SETTING, 'client.BaseURL = "http://127.0.0.1:6622"'),
        other(
            "capmonstercloud-client-php",
            "PHP",
            Way.PROXY,
            "HTTPS_PROXY=http://127.0.0.1:6625 and curl.cainfo=bundle.pem in php.ini",
        ),
        other(
            "2captcha-php", "PHP", Way.SETTING, "new TwoCaptcha(['apiKey' => ..., 'server' => 'http://127.0.0.1:6622'])"
        ),
        other(
            "Zennolab.CapMonsterCloud.Client",
            ".NET",
            Way.SETTING,
            'new ClientOptions { ClientKey = ..., ServiceUri = new Uri("http://127.0.0.1:6622") }',
        ),
        other(
            "CaptchaSharp", ".NET", Way.SETTING, 'new CustomTwoCaptchaService(key, new Uri("http://127.0.0.1:6622"))'
        ),
        other(
            "2captcha-java",
            "Java",
            Way.TLS,
            'solver.setHost("127.0.0.1:6626") and -Djavax.net.ssl.trustStore=trust.p12',
            JAVA,
        ),
    ]
}

# Clients that are not run, and why.
LEFT_OUT = [
    (
        "`capmonster` 0.2.4 (Rust)",
        "It brings a second HTTP and TLS library, which take longer to build than the others. Its address is fixed.",
    ),
    ("`anticaptcha` 0.1.1 (Rust)", "It brings a third HTTP library, of an old version."),
    (
        "2captcha-csharp (.NET)",
        "Its address is fixed, and Mono, which would send its requests, trusts certificates of a store of its own alone. "
        "Its multipart bodies are in tests/plain_clients.rs.",
    ),
    ("the vendor's n8n node", "It runs inside n8n alone. Its address is fixed."),
]
