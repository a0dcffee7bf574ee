//! What all runs stand on: an upstream that counts, the gateway as it is shipped, and requests with marks.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use nocache_gateway::sandbox::certificate;
use rand::{RngExt, rngs::SmallRng};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    sync::broadcast,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    Result,
    log::{Counts, Log, LogLines},
};

/// How an upstream behaves.
#[derive(Clone, Copy)]
pub struct Behaviour {
    /// How long it lets connections rest.
    pub rest: Duration,
    /// How long each answer takes.
    pub delay: Duration,
    /// How many of a thousand requests meet a fault.
    pub faults: u32,
}

/// An upstream that counts marks and answers with them.
pub struct Upstream {
    url: String,
    certificate: String,
    seen: Seen,
    connections: Arc<AtomicUsize>,
    restart: broadcast::Sender<()>,
}

/// How often each mark arrived. Clones are the same.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<u8>>>);

impl Seen {
    fn counts(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, mark: usize) {
        let mut counts = self.counts();
        if counts.len() <= mark {
            counts.resize(mark + 1, 0);
        }
        counts[mark] += 1;
    }
}

impl Upstream {
    pub async fn start(behaviour: Behaviour) -> Result<Self> {
        let (acceptor, certificate) = certificate::self_signed()?;
        let listener = nocache_gateway::server::bind(([127, 0, 0, 1], 0).into())?;
        let url = format!("https://{}", listener.local_addr()?);
        let seen = Seen::default();
        let (restart, _) = broadcast::channel(1);
        let connections = Arc::<AtomicUsize>::default();
        let kept = (seen.clone(), restart.clone(), connections.clone());
        tokio::spawn(async move {
            let (seen, restart, connections) = kept;
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    // Out of descriptors, most likely: what is asked of this machine is too much, and shows as refused.
                    eprintln!("the upstream cannot accept");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                };
                connections.fetch_add(1, Relaxed);
                let (acceptor, seen, mut restarts) = (acceptor.clone(), seen.clone(), restart.subscribe());
                tokio::spawn(async move {
                    tokio::select! {
                        // However it ends, it has ended.
                        _ = connection(stream, &acceptor, behaviour, &seen) => {}
                        _ = restarts.recv() => {}
                    }
                });
            }
        });
        Ok(Self {
            url,
            certificate,
            seen,
            connections,
            restart,
        })
    }

    /// Drops every connection.
    pub fn restart(&self) {
        // An error says that there is none.
        let _ = self.restart.send(());
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// How many requests arrived, and how many of them more than once.
    pub fn count(&self) -> (usize, usize) {
        let counts = self.seen.counts();
        let more_than = |times| counts.iter().filter(|&&count| count > times).count();
        (more_than(0), more_than(1))
    }
}

/// Answers requests until the connection rests too long.
async fn connection(stream: TcpStream, acceptor: &TlsAcceptor, behaviour: Behaviour, seen: &Seen) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(acceptor.accept(stream).await?);
    let mut random: SmallRng = rand::make_rng();
    loop {
        let mark = timeout(behaviour.rest, read_mark(&mut stream)).await??;
        seen.note(mark);
        sleep(behaviour.delay).await;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{mark:010}");
        let fault = random.random_range(0..1000);
        match fault {
            _ if fault >= behaviour.faults => write(&mut stream, answer.as_bytes()).await?,
            // It hangs up, before an answer or within one, or takes long.
            _ if fault % 3 == 0 => return Ok(()),
            _ if fault % 3 == 1 => return write(&mut stream, &answer.as_bytes()[..answer.len() - 5]).await,
            _ => {
                sleep(Duration::from_millis(100)).await;
                write(&mut stream, answer.as_bytes()).await?;
            }
        }
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<()> {
    stream.write_all(bytes).await?;
    Ok(stream.flush().await?)
}

/// Reads a request and returns its mark.
async fn read_mark(stream: &mut (impl AsyncBufRead + Unpin)) -> Result<usize> {
    let mut all = String::new();
    let mut length = 0;
    loop {
        let begin = all.len();
        if stream.read_line(&mut all).await? == 0 {
            return Err("its end".into());
        }
        let line = all[begin..].trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.parse()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    all += str::from_utf8(&body)?;
    let mark = all.split("mark-").nth(1).and_then(|rest| rest.split('-').next());
    Ok(mark.ok_or("a request without a mark")?.parse()?)
}

/// The gateway, as it is shipped.
pub struct Gateway {
    child: Child,
    /// Host and port of the API, and of the admin side.
    pub api: String,
    pub admin: String,
    pub url: String,
    folder: PathBuf,
    pub log: Log,
}

impl Gateway {
    /// Starts it before an upstream, with more settings.
    pub async fn start(upstream: &Upstream, settings: &str) -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let program = std::env::current_exe()?.with_file_name("../nocache-gateway");
        let name = format!("nocache-gateway-long-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("ca.pem"), &upstream.certificate)?;
        std::fs::write(folder.join("c.toml"), configuration(settings, "first"))?;
        let mut child = Command::new(program)
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .args(["--upstream", &upstream.url, "--config"])
            .arg(folder.join("c.toml"))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stderr.take().ok_or("no log")?).lines();
        let api = address(&mut lines, "listening").await?;
        let admin = address(&mut lines, "admin listening").await?;
        Ok(Self {
            child,
            url: format!("http://{api}"),
            api,
            admin,
            folder,
            log: Log::read(lines),
        })
    }

    /// Asks it to stop, reads its log to the end, and returns what was read, if it ended as it should.
    pub async fn stop(&mut self) -> Result<&Counts> {
        let pid = self.child.id().ok_or("it ended")?.to_string();
        Command::new("kill").arg(pid).status().await?;
        let counts = self.log.end().await?;
        match self.child.wait().await? {
            status if status.success() => Ok(counts),
            status => Err(format!("it did not stop as it should: {status}").into()),
        }
    }

    /// Replaces its configuration by another.
    pub fn reload(&self, settings: &str, number: usize) -> Result<()> {
        std::fs::write(self.folder.join("new"), configuration(settings, &format!("r{number}")))?;
        Ok(std::fs::rename(self.folder.join("new"), self.folder.join("c.toml"))?)
    }

    /// What it holds now.
    pub fn size(&self) -> Result<Size> {
        let pid = self.child.id().ok_or("it ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
        Ok(Size {
            kib: resident.ok_or("no VmRSS")?,
            descriptors: std::fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
        })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Reads a log up to the line with a message, and returns the address in that line.
async fn address(lines: &mut LogLines, message: &str) -> Result<String> {
    let wanted = format!("\"message\":\"{message}\",\"address\":\"");
    loop {
        let line = lines.next_line().await?.ok_or("it does not start")?;
        if let Some(address) = line.split(&wanted).nth(1) {
            return Ok(address.split('"').next().unwrap_or_default().to_owned());
        }
    }
}

fn configuration(settings: &str, rule: &str) -> String {
    format!(
        "{settings}\n[upstream]\nca_file = \"ca.pem\"\n[[rule]]\nid = \"{rule}\"\nsites = [\"a.example\"]\naction = \"force\"\n"
    )
}

/// What a process holds.
#[derive(Clone, Copy)]
pub struct Size {
    pub kib: usize,
    pub descriptors: usize,
}

/// A kind of request.
#[derive(Clone, Copy)]
pub enum Kind {
    CreateTask,
    /// With a picture of 50 KB.
    Picture,
    InQuery,
    InForm,
    GetTaskResult,
    Res,
}

pub const KINDS: [Kind; 6] = [
    Kind::CreateTask,
    Kind::Picture,
    Kind::InQuery,
    Kind::InForm,
    Kind::GetTaskResult,
    Kind::Res,
];

impl Kind {
    pub fn is_submission(self) -> bool {
        !matches!(self, Self::GetTaskResult | Self::Res)
    }
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Answered with its own mark.
    Answered,
    /// Answered with an error, cut off, or not answered.
    Refused,
    /// Answered with the mark of another.
    Mixed,
}

/// How many requests met each fate.
#[derive(Default)]
pub struct Tally {
    pub answered: AtomicUsize,
    pub refused: AtomicUsize,
    pub mixed: AtomicUsize,
}

impl Tally {
    pub fn note(&self, fate: Fate) {
        let count = match fate {
            Fate::Answered => &self.answered,
            Fate::Refused => &self.refused,
            Fate::Mixed => &self.mixed,
        };
        count.fetch_add(1, Relaxed);
    }

    /// How many requests there were.
    pub fn total(&self) -> usize {
        let counts = [&self.answered, &self.refused, &self.mixed];
        counts.into_iter().map(|count| count.load(Relaxed)).sum()
    }
}

/// A mark that no other request has.
pub fn next_mark() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Relaxed)
}

/// The body of a createTask with a mark, and with more members in its task.
pub fn create_task(mark: usize, more: &str) -> String {
    format!(r#"{{"clientKey":"mark-{mark}-","task":{{"type":"RecaptchaV2Task","websiteURL":"a.example"{more}}}}}"#)
}

/// Sends one request, with a mark of its own; what became of it, and how long that took.
pub async fn send(client: &reqwest::Client, url: &str, kind: Kind) -> (Fate, Duration) {
    let mark = next_mark();
    let form = format!("key=mark-{mark}-&method=userrecaptcha&pageurl=a.example");
    let post = |path: &str, body: String| client.post(format!("{url}{path}")).body(body);
    let request = match kind {
        Kind::CreateTask => post("/createTask", create_task(mark, "")),
        Kind::Picture => post(
            "/createTask",
            create_task(mark, &format!(r#","body":"{}""#, "A".repeat(50_000))),
        ),
        Kind::InQuery => client.get(format!("{url}/in.php?{form}")),
        Kind::InForm => post("/in.php", form),
        Kind::GetTaskResult => post("/getTaskResult", format!(r#"{{"clientKey":"mark-{mark}-"}}"#)),
        Kind::Res => client.get(format!("{url}/res.php?key=mark-{mark}-&action=get")),
    };
    let start = Instant::now();
    let fate = match request.send().await {
        Ok(answer) if answer.status() == 200 => match answer.text().await {
            Ok(text) if text == format!("{mark:010}") => Fate::Answered,
            Ok(_) => Fate::Mixed,
            Err(_) => Fate::Refused,
        },
        _ => Fate::Refused,
    };
    (fate, start.elapsed())
}

/// A client that takes no proxy of the environment.
pub fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().build()?)
}
