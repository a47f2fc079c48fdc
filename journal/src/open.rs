//! Opens a journal: locks its folder, recovers it, and makes its parts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use iem_disk::{Disk, DiskError, FolderLock};
use parking_lot::{Condvar, Mutex};

use crate::access::Access;
use crate::appender::Appender;
use crate::config::{JournalConfig, OnDamage};
use crate::damage::{Damage, DamageKind};
use crate::error::OpenError;
use crate::format::Nonce;
use crate::format::segment::SegmentHeader;
use crate::log::{Inner, Log, Maker, Segment, Spare};
use crate::name;
use crate::progress::Progress;
use crate::reader::Reader;
use crate::recovery::{Recovered, recover};
use crate::spare::SpareMaker;
use crate::tail::Tail;

/// The most bytes of damage that are copied aside.
const COPY_BYTES_MAX: u64 = 64 << 20;

/// The parts of an open journal. Each is for one thread.
pub struct Journal {
    /// Writes records.
    pub appender: Appender,
    /// Reads them.
    pub reader: Reader,
    /// Notes which are settled. It can be cloned.
    pub progress: Progress,
    /// Makes the files of segments ahead of time.
    pub spare_maker: SpareMaker,
    /// The damage that was found so far; what lies within segments is found when it is read.
    pub damages: Vec<Damage>,
}

impl Journal {
    /// Opens the journal of a folder, and recovers it. Blocks.
    ///
    /// # Errors
    /// Another process has it, a later release has written it, it is damaged and the configuration
    /// refuses that, or the disk fails.
    pub fn open(disk: Arc<Disk>, config: JournalConfig) -> Result<Self, OpenError> {
        let folder = config.folder.clone();
        if config.create {
            disk.create_folders(&folder, true)
                .map_err(|error| DiskError::new("create the folder", &folder, error))?;
        } else if !folder.is_dir() {
            return Err(OpenError::Missing(folder));
        }
        let lock = FolderLock::acquire(&folder)?;
        let recovered = recover(Access::owner(&disk), &folder)?;
        let damages = recovered.damages.clone();
        let is_harmless = |damage: &Damage| damage.kind == DamageKind::TornCommit;
        if config.on_damage == OnDamage::Refuse
            && let Some(damage) = damages.iter().find(|damage| !is_harmless(damage))
        {
            return Err(OpenError::Damaged(damage.to_string()));
        }
        for damage in damages.iter().filter(|damage| is_harmless(damage)) {
            // It was not acknowledged, and a full disk is to be drained.
            if let Err(error) = copy_aside(&disk, damage) {
                let path = damage.path.display();
                tracing::warn!(%path, %error, "cannot keep a copy of a torn commit");
            }
        }
        set_aside(&disk, &recovered.unreadable)?;
        sync_found(&disk, &folder, &recovered)?;
        let spare = find_spare(&disk, &config)?;
        let log = Arc::new(Log {
            disk,
            inner: Mutex::new(Inner {
                segments: recovered.segments.clone(),
                state: recovered.state.clone(),
                durable_low: recovered.state.cursor.low(),
                spare,
                is_spare_due: false,
                maker: Maker::Absent,
                is_void: false,
                is_closed: false,
            }),
            config,
            spare_wanted: Condvar::new(),
            spare_made: Condvar::new(),
            _lock: lock,
        });
        let spare_maker = SpareMaker::new(Arc::clone(&log));
        let tail = match recovered.segments.last_key_value() {
            Some((first, segment)) => Tail::at_end(*first, segment, &recovered)?,
            None => begin_first(&log, &spare_maker, &recovered)?,
        };
        let appender = Appender::new(Arc::clone(&log), tail);
        appender.forget_settled();
        Ok(Self {
            appender,
            reader: Reader::new(Arc::clone(&log)),
            progress: Progress::new(Arc::clone(&log)),
            spare_maker,
            damages,
        })
    }
}

/// Begins the first segment of a journal.
fn begin_first(
    log: &Arc<Log>,
    spare_maker: &SpareMaker,
    recovered: &Recovered,
) -> Result<Tail, DiskError> {
    let mut state = recovered.state.clone();
    // No record of an unreadable segment had a number beyond this one.
    let unreadable = recovered.unreadable.iter().filter_map(|path| {
        let first = name::parse(path.file_name()?.to_str()?)?;
        Some(first + log.config.segment_bytes)
    });
    let first_sequence = unreadable.max().unwrap_or(0);
    state.cursor.settle(0..first_sequence);
    spare_maker.make()?;
    let header = SegmentHeader {
        nonce: Nonce(rand::random()),
        first_sequence,
        first_commit: recovered.next_commit,
        previous: None,
        state: state.clone(),
    };
    let file = log.begin(&header)?;
    let mut inner = log.inner.lock();
    inner.spare = Spare::Missing;
    inner.state = state;
    inner
        .segments
        .insert(first_sequence, Segment::begin(&file, &header));
    Ok(Tail::begin(&file, &header, log.config.segment_bytes))
}

/// Finds the spare file of an earlier run. One of another length is removed.
fn find_spare(disk: &Disk, config: &JournalConfig) -> Result<Spare, DiskError> {
    let path = config.folder.join(name::SPARE);
    let is_usable = path
        .symlink_metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() == config.segment_bytes);
    if is_usable {
        return Ok(Spare::Ready);
    }
    disk.remove(&path)
        .map_err(|error| DiskError::new("remove", &path, error))?;
    Ok(Spare::Missing)
}

/// Copies the damaged bytes of a segment into a file beside it.
fn copy_aside(disk: &Disk, damage: &Damage) -> std::io::Result<()> {
    let first = damage.path.file_name().and_then(|name| name.to_str());
    let (Some(first), Some(folder)) = (first.and_then(name::parse), damage.path.parent()) else {
        return Ok(());
    };
    let length = (damage.bytes.end - damage.bytes.start).min(COPY_BYTES_MAX);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    let read = disk.read_at(&disk.open(&damage.path)?, &mut bytes, damage.bytes.start)?;
    let path = name::copy(folder, first, damage.bytes.start);
    disk.remove(&path)?;
    let file = disk.create(&path)?;
    let copied = disk
        .write_at(&file, &bytes[..read], 0)
        .and_then(|()| disk.sync_data(&file));
    copied.inspect_err(|_| drop(disk.remove(&path)))
}

/// Syncs the names and the last commit that were found. A process that was killed may have left
/// them unsynced: nothing that follows would hold without them, no commit and no removal.
fn sync_found(disk: &Disk, folder: &Path, recovered: &Recovered) -> Result<(), DiskError> {
    if let Some((first, segment)) = recovered.segments.last_key_value() {
        disk.sync_data(&segment.file)
            .map_err(|error| DiskError::new("sync", &name::segment(folder, *first), error))?;
    }
    disk.sync_folder(folder)
        .map_err(|error| DiskError::new("sync the folder", folder, error))
}

/// Renames segments of which nothing can be read.
fn set_aside(disk: &Disk, unreadable: &[PathBuf]) -> Result<(), DiskError> {
    for path in unreadable {
        let aside = path.with_extension("journal.damaged");
        disk.rename(path, &aside)
            .map_err(|error| DiskError::new("rename", path, error))?;
    }
    Ok(())
}
