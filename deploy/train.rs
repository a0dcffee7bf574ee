//! Has a program do what the gateway does all day: submissions and polls of both dialects, and pictures, to an upstream with
//! TLS and to one without. `deploy/build`, which compiles this with rustc alone, makes a profile of that: `train PROGRAM
//! FOLDER`, and what the gateways were profiled with is in the folder.

use std::{
    error::Error,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const KEY: &str = "0123456789abcdef0123456789abcdef";

const CLIENTS: usize = 8;

/// How many times each client does everything.
const ROUNDS: usize = 100;

const LONGEST_START: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, folder] = &arguments[..] else {
        return Err("usage: train PROGRAM FOLDER".into());
    };
    let folder = Path::new(folder);
    let (config, certificate) = (folder.join("config.toml"), folder.join("ca.pem"));
    fs::write(
        &config,
        "upstream.ca_file = \"ca.pem\"\n\
         default.action = \"keep\"\n\
         rule = [{ id = \"shop\", sites = [\"shop.example\", \"*.example.org\"], action = \"add\" }]\n",
    )?;
    // The one with TLS first, which writes the certificate.
    for scheme in ["https", "http"] {
        let mut sandbox = Command::new(program);
        sandbox.args(["sandbox", "--listen", "127.0.0.1:0"]);
        if scheme == "https" {
            sandbox.arg("--tls").arg(&certificate);
        }
        // The sandbox is the same program, but not what is profiled.
        let sandbox = Server::start(sandbox, Path::new("/dev/null"), &folder.join("sandbox.log"))?;
        let mut gateway = Command::new(program);
        gateway.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        gateway.arg("--config").arg(&config);
        gateway
            .arg("--upstream")
            .arg(format!("{scheme}://127.0.0.1:{}", sandbox.port));
        let gateway = Server::start(gateway, &folder.join("%p.profraw"), &folder.join("gateway.log"))?;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| thread::spawn(move || work(gateway.port)))
            .collect();
        for client in clients {
            client.join().map_err(|_| "a client panicked")??;
        }
        gateway.stop()?;
        sandbox.stop()?;
    }
    Ok(())
}

/// A server on a free port.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts it with its log in a file, and waits until that says the port. Nothing of the environment changes what it does.
    fn start(mut command: Command, profile: &Path, log: &Path) -> Result<Self> {
        command.env_clear().env("LLVM_PROFILE_FILE", profile);
        let child = command.stdout(Stdio::null()).stderr(File::create(log)?).spawn()?;
        let mut server = Self { child, port: 0 };
        let begin = Instant::now();
        while server.child.try_wait()?.is_none() && begin.elapsed() < LONGEST_START {
            let said = fs::read_to_string(log)?;
            let listening = said.lines().find(|line| {
                line.contains(r#""message":"listening""#) || line.contains(r#""message":"sandbox listening"#)
            });
            let address = listening.and_then(|line| line.strip_suffix("\"}")?.rsplit_once(':'));
            if let Some((_, port)) = address {
                server.port = port.parse()?;
                return Ok(server);
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(format!("a server does not start: {}", fs::read_to_string(log)?).into())
    }

    /// Asks it to end, since it writes its profile then.
    fn stop(mut self) -> Result<()> {
        let kill = format!("kill {}", self.child.id());
        Command::new("sh").args(["-c", &kill]).status()?;
        match self.child.wait()?.success() {
            true => Ok(()),
            false => Err("a server failed".into()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended, unless something failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a client does.
fn work(port: u16) -> Result<()> {
    let mut client = Client::new(port)?;
    let pictures = [5_000, 200_000].map(|length| "A".repeat(length));
    for round in 0..ROUNDS {
        let site = if round % 4 == 0 {
            "https://news.example/comment"
        } else {
            "https://shop.example/cart"
        };
        let task = |kind: &str, more: &str| {
            format!(
                r#"{{"clientKey": "{KEY}", "task": {{"type": "{kind}", "websiteURL": "{site}", "websiteKey": "6LcEXAMPLE", {more}}}}}"#
            )
        };
        let agent = r#""userAgent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64)""#;
        let id = client.submit("/createTask", Some(task("RecaptchaV2TaskProxyless", agent)))?;
        for _ in 0..3 {
            client.exchange(
                "/getTaskResult",
                Some(format!(r#"{{"clientKey": "{KEY}", "taskId": {id}}}"#)),
            )?;
        }
        client.submit(
            "/createTask",
            Some(task("RecaptchaV3TaskProxyless", r#""minScore": 0.7"#)),
        )?;
        let form = format!(
            "key={KEY}&method=userrecaptcha&googlekey=6LcEXAMPLE&pageurl={}",
            site.replace('/', "%2F")
        );
        let id = client.submit(&format!("/in.php?{form}&json=1"), None)?;
        client.exchange(&format!("/res.php?key={KEY}&action=get&id={id}&json=1"), None)?;
        let id = client.submit("/in.php", Some(form))?;
        client.exchange(&format!("/res.php?key={KEY}&action=get&id={id}"), None)?;
        if round % 10 == 0 {
            let fields = [
                ("key", KEY),
                ("method", "userrecaptcha"),
                ("googlekey", "6LcEXAMPLE"),
                ("pageurl", site),
            ];
            let parts = fields.map(|(name, value)| {
                format!("--part\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            });
            client.submit("/in.php", Some(parts.concat() + "--part--\r\n"))?;
            for picture in &pictures {
                let body = format!(r#"{{"clientKey":"{KEY}","task":{{"type":"ImageToTextTask","body":"{picture}"}}}}"#);
                client.submit("/createTask", Some(body))?;
            }
        }
    }
    Ok(())
}

/// A connection of a client.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(port: u16) -> Result<Self> {
        Ok(Self(BufReader::new(TcpStream::connect(("127.0.0.1", port))?)))
    }

    /// Submits a task and returns its id.
    fn submit(&mut self, target: &str, body: Option<String>) -> Result<String> {
        let response = self.exchange(target, body)?;
        let numbers = response.split(|c: char| !c.is_ascii_digit());
        let id = numbers.max_by_key(|number| number.len()).unwrap_or_default();
        match id.len() {
            2.. => Ok(id.to_owned()),
            _ => Err(format!("no task: {response}").into()),
        }
    }

    /// Sends a request and returns the body of its response.
    fn exchange(&mut self, target: &str, body: Option<String>) -> Result<String> {
        let mut request = match &body {
            Some(_) => format!("POST {target} HTTP/1.1\r\n"),
            None => format!("GET {target} HTTP/1.1\r\n"),
        };
        request +=
            "Host: api.capmonster.cloud\r\nUser-Agent: python-requests/2.32.3\r\nAccept-Encoding: gzip, deflate\r\n";
        request += "Accept: */*\r\nConnection: keep-alive\r\n";
        if let Some(body) = body {
            let kind = match body.as_bytes() {
                [b'{', ..] => "application/json",
                [b'-', ..] => "multipart/form-data; boundary=part",
                _ => "application/x-www-form-urlencoded",
            };
            request += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        } else {
            request += "\r\n";
        }
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err("the connection ended".into());
            }
            match line.to_ascii_lowercase().trim_end().split_once(": ") {
                Some(("content-length", value)) => length = value.parse()?,
                None if line == "\r\n" => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(String::from_utf8(body)?)
    }
}
