//! The file that keeps the largest record that a topic's sink takes, for a start while the sink is
//! away. A file that is missing or damaged, or of another topic of a sink, tells nothing.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use iem_disk::{Disk, DiskError};

use crate::log::Log;
use crate::name;

/// The first line of the file.
const VERSION: &str = "IEMLIMIT 1\n";
/// The most bytes of a file that is read.
const BYTES_MAX: usize = 64 << 10;

/// The largest record that a topic's sink takes, as the disk has it.
pub struct KeptLimit {
    log: Arc<Log>,
    /// The topic of a sink that the limit is of, on one line.
    of: String,
    bytes: Option<usize>,
    /// There is a file, whatever it holds.
    is_there: bool,
}

impl KeptLimit {
    pub(crate) fn read(log: Arc<Log>, of: &str) -> Self {
        let of = of.replace(char::is_control, " ");
        let path = log.config.folder.join(name::LIMIT);
        let text = read(&log.disk, &path);
        let is_there = !matches!(&text, Err(error) if error.kind() == ErrorKind::NotFound);
        let bytes = text.as_deref().ok().and_then(|text| parse(text, &of));
        if is_there && bytes.is_none() {
            let path = path.display();
            tracing::info!(%path, "the kept size of the largest record is damaged or of elsewhere");
        }
        Self {
            log,
            of,
            bytes,
            is_there,
        }
    }

    /// Returns the most bytes of a record.
    pub fn bytes(&self) -> Option<usize> {
        self.bytes
    }

    /// Keeps another limit, synced: the disk has it or the one before.
    ///
    /// # Errors
    /// The disk's. The next call tries again.
    pub fn keep(&mut self, bytes: Option<usize>) -> Result<(), DiskError> {
        if bytes == self.bytes && bytes.is_some() == self.is_there {
            return Ok(());
        }
        let folder = &self.log.config.folder;
        let path = folder.join(name::LIMIT);
        let kept = match bytes {
            Some(bytes) => self.write(&path, &text(&self.of, bytes)),
            None => self.log.disk.remove(&path),
        };
        // Until the folder is synced, the disk may have the one or the other.
        self.is_there = true;
        self.bytes = None;
        kept.and_then(|()| self.log.disk.sync_folder(folder))
            .map_err(|error| {
                DiskError::new("keep the size of the largest record in", &path, error)
            })?;
        self.is_there = bytes.is_some();
        self.bytes = bytes;
        Ok(())
    }

    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let Log { disk, config, .. } = &*self.log;
        let unfinished = config.folder.join(name::LIMIT_UNFINISHED);
        disk.remove(&unfinished)?;
        let mut file = disk.create(&unfinished)?;
        let written = disk
            .write_all(&mut file, text.as_bytes())
            .and_then(|()| disk.sync_data(&file))
            .and_then(|()| disk.rename(&unfinished, path));
        written.inspect_err(|_| drop(disk.remove(&unfinished)))
    }
}

fn read(disk: &Disk, path: &Path) -> io::Result<String> {
    let file = disk.open_read_only(path)?;
    let mut bytes = vec![0; BYTES_MAX];
    let length = disk.read_at(&file, &mut bytes, 0)?;
    bytes.truncate(length);
    String::from_utf8(bytes).map_err(|_| ErrorKind::InvalidData.into())
}

fn text(of: &str, bytes: usize) -> String {
    let text = format!("{VERSION}{of}\n{bytes}\n");
    let checksum = crc32c::crc32c(text.as_bytes());
    format!("{text}{checksum:08x}\n")
}

fn parse(found: &str, of: &str) -> Option<usize> {
    let bytes = found.strip_prefix(VERSION)?.strip_prefix(of)?;
    let bytes = bytes.strip_prefix('\n')?.lines().next()?.parse().ok()?;
    // Only the text that is written is taken: each limit has one, with its checksum.
    (found == text(of, bytes)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_that_was_written_is_taken() {
        let written = text("kafka events broker:9092", 20_000);
        assert_eq!(
            written,
            "IEMLIMIT 1\nkafka events broker:9092\n20000\nb8a0a0e0\n"
        );
        assert_eq!(parse(&written, "kafka events broker:9092"), Some(20_000));
        assert_eq!(parse(&written, "kafka events broker"), None);
        assert_eq!(parse(&written, "pubsub events broker:9092"), None);
        for index in 0..written.len() {
            for bit in 0..8 {
                let mut damaged = written.clone().into_bytes();
                damaged[index] ^= 1 << bit;
                let damaged = String::from_utf8_lossy(&damaged);
                assert_eq!(
                    parse(&damaged, "kafka events broker:9092"),
                    None,
                    "{damaged}"
                );
            }
            assert_eq!(parse(&written[..index], "kafka events broker:9092"), None);
        }
    }
}
