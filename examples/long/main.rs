//! Long runs against the real program, not part of CI. `tests/long` builds and starts them.
//!
//! - `idle SECONDS BURSTS`: an upstream that closes connections after so many seconds at rest, and bursts of submissions
//!   timed to hit that moment
//! - `soak MINUTES`: mixed traffic with random faults, an upstream that drops all connections every ten seconds, and a
//!   reload a second
//!
//! Each request carries a mark, and its answer must carry the same one.

use std::{
    collections::HashMap,
    error::Error,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::broadcast,
    task::JoinSet,
    time::{sleep, timeout},
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["idle", seconds, bursts] => idle(Duration::from_secs(seconds.parse()?), bursts.parse()?).await,
        ["soak", minutes] => soak(Duration::from_secs_f64(minutes.parse::<f64>()? * 60.0)).await,
        _ => Err("usage: idle SECONDS BURSTS | soak MINUTES".into()),
    }
}

/// An upstream that counts marks and answers with them.
struct Upstream {
    url: String,
    seen: Arc<Mutex<HashMap<String, usize>>>,
    /// Drops every connection when something is sent.
    restart: broadcast::Sender<()>,
}

#[derive(Clone, Copy)]
struct Behaviour {
    rest: Duration,
    /// How many of a hundred requests end without an answer.
    faults: u32,
}

impl Upstream {
    async fn start(behaviour: Behaviour) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let seen = Arc::new(Mutex::new(HashMap::new()));
        let (restart, _) = broadcast::channel(1);
        let (kept, restarts) = (seen.clone(), restart.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, mut restart) = (kept.clone(), restarts.subscribe());
                tokio::spawn(async move {
                    tokio::select! {
                        _ = connection(stream, behaviour, &seen) => {}
                        _ = restart.recv() => {}
                    }
                });
            }
        });
        Ok(Self { url, seen, restart })
    }

    /// How many requests arrived, and how many of them more than once.
    fn count(&self) -> (usize, usize) {
        let seen = self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        (seen.len(), seen.values().filter(|count| **count > 1).count())
    }
}

/// Answers requests until the connection rests too long.
async fn connection(mut stream: TcpStream, behaviour: Behaviour, seen: &Mutex<HashMap<String, usize>>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut random: SmallRng = rand::make_rng();
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(behaviour.rest, stream.read_u8()).await??);
        }
        let head = String::from_utf8(head)?.to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await?;
        let all = head + str::from_utf8(&body)?;
        let mark = all
            .split("mark-")
            .nth(1)
            .and_then(|rest| rest.split('-').next())
            .unwrap_or_default()
            .to_owned();
        *seen
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .entry(mark.clone())
            .or_default() += 1;
        match random.random_range(0..100) {
            fault if fault < behaviour.faults / 2 => return Ok(()),
            fault if fault < behaviour.faults => sleep(Duration::from_millis(100)).await,
            _ => {}
        }
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{mark}", mark.len());
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// The gateway, as it is shipped.
struct Gateway {
    child: Child,
    url: String,
    folder: std::path::PathBuf,
}

impl Gateway {
    async fn start(upstream: &str) -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("../nocache-gateway");
        let folder = std::env::temp_dir().join(format!("nocache-gateway-long-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("c.toml"), "[log]\nlevel = \"info\"\n")?;
        let mut command = Command::new(program);
        command.args([
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "off",
            "--upstream",
            upstream,
            "--config",
        ]);
        let mut child = command
            .arg(folder.join("c.toml"))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut log = BufReader::new(child.stderr.take().ok_or("no log")?).lines();
        loop {
            let line = log.next_line().await?.ok_or("it does not start")?;
            if let Some(address) = line.split("\"listening\",\"address\":\"").nth(1) {
                let address = address.split('"').next().unwrap_or_default().to_owned();
                tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
                let url = format!("http://{address}");
                return Ok(Self { child, url, folder });
            }
        }
    }

    fn reload(&self, number: usize) -> Result<()> {
        let text = format!("[[rule]]\nid = \"r{number}\"\nsites = [\"a.example\"]\naction = \"force\"\n");
        std::fs::write(self.folder.join("new"), text)?;
        Ok(std::fs::rename(self.folder.join("new"), self.folder.join("c.toml"))?)
    }

    /// Memory in KiB and open descriptors.
    fn size(&self) -> Result<(usize, usize)> {
        let pid = self.child.id().ok_or("it ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
        Ok((
            resident.ok_or("no VmRSS")?,
            std::fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
        ))
    }
}

/// What became of requests.
#[derive(Default)]
struct Tally {
    answered: AtomicUsize,
    refused: AtomicUsize,
    mixed: AtomicUsize,
}

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Sends one request of some kind, with a mark of its own.
async fn send(client: &reqwest::Client, url: &str, kind: u32, tally: &Tally) {
    let mark = NEXT.fetch_add(1, Relaxed).to_string();
    let request = match kind {
        0 => client.get(format!(
            "{url}/in.php?key=K&method=userrecaptcha&pageurl=a.example&x=mark-{mark}-"
        )),
        1 => client
            .post(format!("{url}/getTaskResult"))
            .body(format!(r#"{{"clientKey":"K","taskId":"mark-{mark}-"}}"#)),
        _ => client.post(format!("{url}/createTask")).body(format!(
            r#"{{"clientKey":"mark-{mark}-","task":{{"type":"RecaptchaV2Task","websiteURL":"a.example"}}}}"#
        )),
    };
    match request.send().await {
        Ok(answer) if answer.status() == 200 => match answer.text().await {
            Ok(text) if text == mark => tally.answered.fetch_add(1, Relaxed),
            _ => tally.mixed.fetch_add(1, Relaxed),
        },
        _ => tally.refused.fetch_add(1, Relaxed),
    };
}

async fn idle(rest: Duration, bursts: usize) -> Result<()> {
    const BURST: usize = 100;
    let upstream = Upstream::start(Behaviour { rest, faults: 0 }).await?;
    let gateway = Gateway::start(&upstream.url).await?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let tally = Arc::new(Tally::default());
    let mut random: SmallRng = rand::make_rng();
    for _ in 0..bursts {
        let mut burst = JoinSet::new();
        for _ in 0..BURST {
            let (client, url, tally) = (client.clone(), gateway.url.clone(), tally.clone());
            burst.spawn(async move { send(&client, &url, 2, &tally).await });
        }
        burst.join_all().await;
        // Around the moment when the upstream closes.
        sleep(rest.saturating_sub(Duration::from_millis(20)) + Duration::from_millis(random.random_range(0..25))).await;
    }
    let (arrived, twice) = upstream.count();
    println!(
        "upstream closes after {rest:?}: {} submissions, {} answered, {} refused, {arrived} arrived, {twice} of them twice",
        bursts * BURST,
        tally.answered.load(Relaxed),
        tally.refused.load(Relaxed),
    );
    if twice > 0 {
        Err("a submission was sent twice".into())
    } else {
        Ok(())
    }
}

async fn soak(duration: Duration) -> Result<()> {
    const CLIENTS: usize = 16;
    let upstream = Upstream::start(Behaviour {
        rest: Duration::from_secs(5),
        faults: 2,
    })
    .await?;
    let gateway = Gateway::start(&upstream.url).await?;
    let tally = Arc::new(Tally::default());
    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (url, tally, is_over) = (gateway.url.clone(), tally.clone(), is_over.clone());
        clients.spawn(async move {
            let mut random = SmallRng::seed_from_u64(number as u64);
            let Ok(client) = reqwest::Client::builder().no_proxy().build() else {
                return;
            };
            while !is_over.load(Relaxed) {
                send(&client, &url, random.random_range(0..4), &tally).await;
                sleep(Duration::from_millis(random.random_range(0..10))).await;
            }
        });
    }
    let start = Instant::now();
    let (mut early, mut late, mut reloads) = ((0, 0), (0, 0), 0);
    while start.elapsed() < duration {
        sleep(Duration::from_secs(1)).await;
        reloads += 1;
        gateway.reload(reloads)?;
        if reloads % 10 == 0 {
            let _ = upstream.restart.send(());
            late = gateway.size()?;
            if early == (0, 0) {
                early = late;
            }
        }
    }
    is_over.store(true, Relaxed);
    clients.join_all().await;
    let (arrived, twice) = upstream.count();
    println!(
        "| {:.0} min | {} | {} | {arrived} | {twice} | {} | {reloads} | {} → {} KiB | {} → {} |",
        start.elapsed().as_secs_f64() / 60.0,
        tally.answered.load(Relaxed),
        tally.refused.load(Relaxed),
        tally.mixed.load(Relaxed),
        early.0,
        late.0,
        early.1,
        late.1,
    );
    if twice > 0 || tally.mixed.load(Relaxed) > 0 {
        Err("a request was sent twice, or answers were mixed".into())
    } else {
        Ok(())
    }
}
