//! Makes the file of the next segment ahead of time: filled with zeros and synced, so that a sync of
//! a commit has nothing to allocate.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iem_disk::DiskError;

use crate::format::BLOCK;
use crate::log::{Log, Maker, Spare};
use crate::name;

/// The bytes of zeros of one write, each of which is synced: a commit that is synced meanwhile waits
/// for no more than these.
const ZEROS: usize = 1 << 20;
/// The wait after a disk has refused.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// Makes spare files. It runs on a thread of its own.
pub struct SpareMaker {
    log: Arc<Log>,
}

impl SpareMaker {
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Self { log }
    }

    /// Makes a spare file whenever one is wanted, until the journal is closed.
    pub fn run(self) {
        let Log {
            config,
            spare_wanted,
            ..
        } = &*self.log;
        self.log.inner.lock().maker = Maker::Works;
        let mut retry_at: Option<Instant> = None;
        loop {
            let mut inner = self.log.inner.lock();
            while !inner.is_closed {
                match retry_at.filter(|at| *at > Instant::now()) {
                    _ if !inner.wants_spare(config) => spare_wanted.wait(&mut inner),
                    Some(at) => drop(spare_wanted.wait_until(&mut inner, at)),
                    None => break,
                }
            }
            if inner.is_closed {
                return;
            }
            drop(inner);
            let made = self.make();
            if let Err(error) = &made
                && retry_at.is_none()
                && !self.is_closed()
            {
                tracing::warn!(%error, "cannot make the next segment of a journal");
            }
            retry_at = made.is_err().then(|| Instant::now() + RETRY_WAIT);
        }
    }

    /// Makes a spare file, if one is missing and may be made.
    ///
    /// # Errors
    /// The disk's: it may be full. [`ErrorKind::Interrupted`] if the journal is closed meanwhile.
    pub fn make(&self) -> Result<(), DiskError> {
        let mut inner = self.log.inner.lock();
        if !inner.may_make_spare(&self.log.config) {
            return Ok(());
        }
        inner.spare = Spare::BeingMade;
        drop(inner);
        let written = self.write();
        let mut inner = self.log.inner.lock();
        let (spare, maker) = match written {
            Ok(()) => (Spare::Ready, Maker::Works),
            Err(_) => (Spare::Missing, Maker::Late),
        };
        inner.spare = spare;
        if inner.maker != Maker::Absent {
            inner.maker = maker;
        }
        self.log.spare_made.notify_all();
        written
    }

    fn is_closed(&self) -> bool {
        self.log.inner.lock().is_closed
    }

    fn write(&self) -> Result<(), DiskError> {
        let Log { disk, config, .. } = &*self.log;
        let path = config.folder.join(name::SPARE_UNFINISHED);
        let failed = |action: &'static str| {
            let path = path.clone();
            move |error| DiskError::new(action, &path, error)
        };
        disk.remove(&path).map_err(failed("remove"))?;
        let file = disk.create(&path).map_err(failed("create"))?;
        let written = || {
            let zeros = vec![0; ZEROS.next_multiple_of(BLOCK)];
            let mut offset = 0;
            while offset < config.segment_bytes {
                // Nobody waits for a slow disk to take the rest.
                if self.is_closed() {
                    return Err(ErrorKind::Interrupted.into());
                }
                let left = usize::try_from(config.segment_bytes - offset).unwrap_or(usize::MAX);
                let zeros = &zeros[..zeros.len().min(left)];
                disk.write_at(&file, zeros, offset)?;
                disk.sync_data(&file)?;
                offset += zeros.len() as u64;
            }
            Ok(())
        };
        written()
            .and_then(|()| disk.rename(&path, &self.log.spare_path()))
            .map_err(|error| {
                // A full disk gets its room back.
                let _ = disk.remove(&path);
                failed("write")(error)
            })
    }
}
