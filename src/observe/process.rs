//! What the process uses, from `/proc`.

/// What the process uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// User and system time, in seconds.
    pub cpu: f64,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// Open file descriptors.
    pub descriptors: usize,
}

/// What this process uses; `None` where there is no `/proc` as on Linux.
#[cfg(target_os = "linux")]
pub fn usage() -> Option<Usage> {
    use std::fs;

    /// proc(5): in clock ticks, of which Linux shows 100 a second to every program.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name is in parentheses and may have spaces.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = resident.split_whitespace().next()?.parse().ok()?;
    // One of them is the folder that is being read.
    let descriptors = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    Some(Usage {
        cpu: ticks / TICKS,
        memory: kilobytes << 10,
        descriptors,
    })
}

/// What this process uses; `None` where there is no `/proc` as on Linux.
#[cfg(not(target_os = "linux"))]
pub fn usage() -> Option<Usage> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let usage = usage().unwrap();
        assert!(usage.memory > 1 << 20 && usage.descriptors > 2, "{usage:?}");
        let begin = std::time::Instant::now();
        while begin.elapsed().as_millis() < 50 {}
        assert!(super::usage().unwrap().cpu > usage.cpu, "{usage:?}");
    }
}
