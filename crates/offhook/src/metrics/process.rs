//! This process, by the names that Prometheus' own clients have for it, and the disk that calls are written to.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Memory, files, processor time.
#[derive(Debug)]
pub(crate) struct Process {
    since: SystemTime,
}

impl Default for Process {
    fn default() -> Self {
        Self { since: SystemTime::now() }
    }
}

/// Resident memory in octets; Linux tells it in kB.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

fn open_files() -> Option<u64> {
    u64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let since = self.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let gauges = [
            ("process_resident_memory_bytes", "Memory in use", resident().map(|octets| octets as f64)),
            ("process_open_fds", "Open files and sockets", open_files().map(|count| count as f64)),
            (
                "process_max_fds",
                "Open files and sockets at most",
                getrlimit(Resource::Nofile).current.map(|most| most as f64),
            ),
            ("process_start_time_seconds", "When it began, since 1970", Some(since.as_secs_f64())),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                let gauge = ConstGauge::new(value);
                gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
            }
        }
        let used = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default();
        let used = ConstCounter::new(used.as_secs_f64());
        let help = "Processor time used";
        used.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?)
    }
}

/// The disk of a folder.
#[derive(Debug)]
pub(crate) struct Disk(pub(crate) PathBuf);

impl Collector for Disk {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Ok(found) = rustix::fs::statvfs(&self.0) else { return Ok(()) };
        for (name, help, blocks) in [
            ("disk_free_bytes", "Room left where tapes and records are written", found.f_bavail),
            ("disk_size_bytes", "All room where tapes and records are written", found.f_blocks),
        ] {
            let gauge = ConstGauge::new(blocks as f64 * found.f_frsize as f64);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn they_are_read_from_the_system() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process::default()));
        registry.register_collector(Box::new(Disk(std::env::temp_dir())));
        let mut page = String::new();
        encode(&mut page, &registry).unwrap();
        let value = |name: &str| -> f64 {
            let line =
                page.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{page}"));
            line.trim().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes ") > 1e6);
        assert!(value("process_open_fds ") >= 3.0);
        assert!(value("process_cpu_seconds_total ") >= 0.0);
        assert!(value("disk_free_bytes ") <= value("disk_size_bytes "));
    }
}
