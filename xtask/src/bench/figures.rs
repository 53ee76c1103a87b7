//! What the system tells of a process.

use std::{fs, process::Command, time::Instant};

use anyhow::Context;

use crate::step;

/// The processor time that a process has used, in seconds: its own and the kernel's for it.
pub(super) fn processor_time(id: u32) -> anyhow::Result<f64> {
    /// `utime` and `stime`, counted from the state, which follows the program's name (`man 5 proc_pid_stat`).
    const TIMES: [usize; 2] = [11, 12];

    let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, fields) = text.rsplit_once(')').context("no name in /proc")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let mut ticks = 0;
    for index in TIMES {
        let field = fields.get(index).context("no times in /proc")?;
        ticks += field.parse::<u32>()?;
    }
    Ok(f64::from(ticks) / ticks_per_second()?)
}

fn ticks_per_second() -> anyhow::Result<f64> {
    let mut command = Command::new("getconf");
    command.arg("CLK_TCK");
    let output = String::from_utf8(step::output(command)?)?;
    Ok(output.trim().parse()?)
}

/// Has the system begin again to remember the most memory of a process (`man 5 proc_pid_clear_refs`).
pub(super) fn forget_peak_memory(id: u32) -> anyhow::Result<()> {
    let file = format!("/proc/{id}/clear_refs");
    fs::write(&file, "5").with_context(|| format!("cannot write {file}"))
}

/// The most memory that a process has had since [`forget_peak_memory`], in MiB.
pub(super) fn peak_memory(id: u32) -> anyhow::Result<f64> {
    memory(id, "VmHWM:")
}

/// The memory that a process has, in MiB.
pub(crate) fn memory_now(id: u32) -> anyhow::Result<f64> {
    memory(id, "VmRSS:")
}

fn memory(id: u32, name: &str) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: u32 = kib.context("no memory in /proc")?.parse()?;
    Ok(f64::from(kib) / 1024.0)
}

/// The time since its start.
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn milliseconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64() * 1e3
    }
}

/// The middle of some measurements.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(values, 50)
}

/// The measurement that so many of a hundred are below.
pub(crate) fn percentile(values: impl IntoIterator<Item = f64>, percent: usize) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let index = (values.len() * percent / 100).min(values.len().saturating_sub(1));
    values.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_has_used_time() {
        let own = std::process::id();
        assert!(memory_now(own).unwrap() > 0.1);
        assert!(peak_memory(own).unwrap() >= memory_now(own).unwrap() / 2.0);
        assert!(processor_time(own).unwrap() >= 0.0);
    }

    #[test]
    fn percentiles_are_measurements() {
        let values = || (1..=200).rev().map(f64::from);
        for (percent, expected) in [(0, 1.0), (50, 101.0), (99, 199.0), (100, 200.0)] {
            assert_eq!(
                percentile(values(), percent).to_bits(),
                f64::to_bits(expected)
            );
        }
        assert_eq!(median([3.0, 1.0, 2.0]).to_bits(), f64::to_bits(2.0));
        assert_eq!(median([]).to_bits(), f64::to_bits(0.0));
    }
}
