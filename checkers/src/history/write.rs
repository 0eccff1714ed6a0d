//! A history into lines of JSON.

use super::History;
use std::io::{self, Write};

impl History {
    /// Writes one line for each event. Compression is the caller's: wrap `out` in a zstd encoder.
    pub fn write_jsonl(&self, out: impl Write) -> io::Result<()> {
        let mut out = io::BufWriter::new(out);
        for event in self.events() {
            serde_json::to_writer(&mut out, &event)?;
            out.write_all(b"\n")?;
        }
        out.flush()
    }
}
