//! The limits that no configuration changes, because what a row comes to depends on them or because nobody needs more.
//! `wit/README.md` publishes them; the rest are [`SandboxConfig`](crate::SandboxConfig),
//! [`CompileLimits`](crate::CompileLimits) and what each version says of itself.

/// The native stack of a guest, in bytes. Callers have threads of at least 2 MiB (tokio's and std's default), of which
/// the host's frames keep the other half. Rust guests have a stack of their own in linear memory, whose overflow
/// is a trap like any other; only recursion that never touches it comes here.
pub(crate) const STACK_BYTES: usize = 1 << 20;
/// Elements of a function table: a debug build of a large crate has some ten thousand function pointers.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;
/// The bytes of an answer, messages included, in memory limits: an honest one fits once, and the rest keeps a guest
/// from naming the same megabytes again and again.
pub(crate) const OUTPUT_PER_MEMORY: usize = 2;
/// The core modules of one component: the transform, and the two small ones with which `wit-component` connects
/// the import. Eight leaves room for other tool chains.
pub(crate) const CORE_INSTANCES: u32 = 8;
/// One memory, so that the limit of a row is the limit of that memory.
pub(crate) const MEMORIES: u32 = 1;
/// The transform's function table and the one of the import, and as many for other tool chains.
pub(crate) const TABLES: u32 = 4;
/// Fuel for `describe`: what one row gets by default, some hundred times what the largest view needs.
pub(crate) const DESCRIBE_FUEL: u64 = 20_000_000;
/// The longest description, in bytes: 2,048 documented fields take a quarter of it.
pub(crate) const DESCRIPTION_BYTES: usize = 1 << 20;
/// Log lines of one call: a transform that says more says it of every row, and nobody reads that.
pub(crate) const LOG_LINES: u32 = 16;
/// Bytes of log lines of one call; the line that goes over is the last one.
pub(crate) const LOG_BYTES: usize = 16 << 10;
/// Bytes of one log line, or of a panic's message, that are kept.
pub(crate) const LINE_BYTES: usize = 4 << 10;
/// Bytes of the message of a row error or of a failed call that are kept.
pub(crate) const MESSAGE_BYTES: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SandboxConfig;

    /// The published table names every limit with its value.
    #[test]
    fn the_published_limits_are_those_in_force() {
        let page = include_str!("../../../wit/README.md");
        let (_, table) = page.split_once("| what | most | beyond it |\n").unwrap();
        let rows: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
        let config = SandboxConfig::default();
        let compile = crate::CompileLimits::default();
        for (what, value) in [
            ("size of the component", config.component_bytes_max as u64),
            ("compile time", compile.seconds),
            ("compile memory", compile.memory_bytes),
            ("instances at one time", config.instances_max.into()),
            ("rows of one call", config.batch_rows_max as u64),
            ("core instances", CORE_INSTANCES.into()),
            ("linear memories", MEMORIES.into()),
            ("tables", TABLES.into()),
            ("elements of a table", TABLE_ELEMENTS as u64),
            ("native stack", STACK_BYTES as u64),
            ("output of a call", OUTPUT_PER_MEMORY as u64),
            ("a call of `describe`", DESCRIBE_FUEL),
            ("what `describe` returns", DESCRIPTION_BYTES as u64),
            ("log lines", LOG_LINES.into()),
            ("bytes of log lines", LOG_BYTES as u64),
            ("a log line", LINE_BYTES as u64),
            ("message of a rejection", MESSAGE_BYTES as u64),
        ] {
            let row = rows.iter().find(|row| row[1..].trim_start().starts_with(what));
            let row = row.unwrap_or_else(|| panic!("no row `{what}`"));
            let most = row.split('|').nth(2).unwrap();
            let numbers: Vec<u64> = most.split([' ', ';']).filter_map(|word| word.parse().ok()).collect();
            assert_eq!(numbers.first(), Some(&value), "{row}");
        }
    }
}
