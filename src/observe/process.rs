//! What the process uses, from `/proc`.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// The metrics of the process, read when they are asked for. Where there is no `/proc` as on Linux there are none.
#[derive(Debug)]
pub struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(usage) = usage() else {
            return Ok(());
        };
        let mut show = |name, help, unit: Option<Unit>, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, unit.as_ref(), metric.metric_type())?)
        };
        let cpu = ConstCounter::new(usage.cpu);
        show("cpu", "User and system time.", Some(Unit::Seconds), &cpu)?;
        let memory = ConstGauge::new(usage.memory);
        show("resident_memory", "Resident memory.", Some(Unit::Bytes), &memory)?;
        let descriptors = ConstGauge::new(usage.descriptors);
        show("open_fds", "Open file descriptors.", None, &descriptors)
    }
}

/// What the process uses.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Usage {
    /// User and system time, in seconds.
    cpu: f64,
    /// Resident memory, in bytes.
    memory: u64,
    /// Open file descriptors.
    descriptors: usize,
}

/// What this process uses; `None` where there is no `/proc` as on Linux.
#[cfg(target_os = "linux")]
fn usage() -> Option<Usage> {
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
fn usage() -> Option<Usage> {
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
