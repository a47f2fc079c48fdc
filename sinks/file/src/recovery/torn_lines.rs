//! The removal of torn lines from a file. Never removes a well-formed line.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use iem_disk::{Disk, own_file};

use super::well_formed;

/// Cuts off everything behind the last well-formed line. Returns the length that remains.
pub(super) fn cut_off_tail(disk: &Disk, path: &Path) -> io::Result<u64> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let end = well_formed::end(&file, length)?;
    truncate(disk, path, length, end)?;
    Ok(end)
}

/// Takes out everything but well-formed lines, and syncs the file. Returns the length that
/// remains. `temporary` is the path of a copy, if one is needed.
pub(super) fn take_out(disk: &Disk, path: &Path, temporary: &Path) -> io::Result<u64> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let ranges = well_formed::ranges(&file)?;
    let remaining = ranges.iter().map(|range| range.end - range.start).sum();
    if ranges.last().is_none_or(|range| range.end == remaining) {
        truncate(disk, path, length, remaining)?;
        disk.sync_data(&file)?;
    } else {
        tracing::warn!(path = %path.display(), bytes = length - remaining, "taking out torn lines");
        let copy = copy_ranges(disk, file, &ranges, temporary)?;
        disk.sync_data(&copy)?;
        disk.rename(temporary, path)?;
        disk.sync_folder(path.parent().unwrap_or(Path::new("")))?;
    }
    Ok(remaining)
}

fn truncate(disk: &Disk, path: &Path, from: u64, to: u64) -> io::Result<()> {
    if to < from {
        tracing::warn!(path = %path.display(), bytes = from - to, "cutting off a torn tail");
        let file = own_file().open(path)?;
        disk.set_len(&file, to)?;
        disk.sync_data(&file)?;
    }
    Ok(())
}

fn copy_ranges(disk: &Disk, mut from: File, ranges: &[Range<u64>], to: &Path) -> io::Result<File> {
    let mut copy = disk.create(to)?;
    for range in ranges {
        from.seek(SeekFrom::Start(range.start))?;
        io::copy(&mut (&from).take(range.end - range.start), &mut copy)?;
    }
    Ok(copy)
}
