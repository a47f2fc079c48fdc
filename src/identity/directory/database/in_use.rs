//! The directory in use, and what is known of the one in the database.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use iem_postgres::{Customer, Error, Revision, Revisions, SessionChanges, User};
use parking_lot::Mutex;

use super::entries::{Building, Faults};
use super::sessions::{self, ReadSessions};
use crate::identity::directory::changes::locked_out;
use crate::identity::directory::error::DirectoryError;
use crate::identity::directory::password_version::PasswordVersion;
use crate::identity::directory::snapshot::Directory;
use crate::identity::sessions::{EndedSessions, Rotations, SessionId, Unsaved, UsedHere};
use crate::telemetry::audit;

/// The name in logs, as that of a directory file.
pub(super) const NAME: &str = "directory";

/// The directory in use, and what is known of the one in the database.
#[derive(Debug)]
pub(in crate::identity::directory) struct InUse {
    /// The database, without a password.
    place: String,
    current: Arc<ArcSwap<Directory>>,
    ended: Arc<EndedSessions>,
    refreshes: OnceLock<Arc<Rotations>>,
    last: Mutex<LastReading>,
    /// Counts the replacements of what is in use; 0 while it is the copy on the disk.
    replaced: AtomicU64,
    is_too_old: AtomicBool,
}

#[derive(Debug)]
struct LastReading {
    revisions: Revisions,
    faults: Faults,
    error: Option<DirectoryError>,
    /// The time at which what is in use was last known to be the database's; `None` if that was
    /// longer ago than this clock tells.
    current_at: Option<Instant>,
}

/// Ended sessions and used refresh tokens of this gateway that are not in the database yet.
pub(super) struct Unwritten {
    pub(super) rows: SessionChanges,
    ended: Option<Unsaved>,
    uses: Vec<UsedHere>,
}

impl InUse {
    /// Begins with what was read from the database.
    pub(super) fn read(place: String, building: Building, directory: Revision) -> Self {
        let last = LastReading {
            revisions: Revisions {
                directory,
                ..Revisions::default()
            },
            faults: building.faults,
            error: None,
            current_at: Some(Instant::now()),
        };
        Self::new(place, building.directory, last, 1)
    }

    /// Begins with the copy on the disk, because of an error of the database.
    pub(super) fn copied(
        place: String,
        directory: Directory,
        age: Duration,
        error: DirectoryError,
    ) -> Self {
        let last = LastReading {
            revisions: Revisions::default(),
            faults: Faults::default(),
            error: Some(error),
            current_at: Instant::now().checked_sub(age),
        };
        Self::new(place, directory, last, 0)
    }

    fn new(place: String, directory: Directory, last: LastReading, replaced: u64) -> Self {
        Self {
            place,
            current: Arc::new(ArcSwap::from_pointee(directory)),
            ended: Arc::default(),
            refreshes: OnceLock::new(),
            last: Mutex::new(last),
            replaced: AtomicU64::new(replaced),
            is_too_old: AtomicBool::new(false),
        }
    }

    pub(in crate::identity::directory) fn current(&self) -> &Arc<ArcSwap<Directory>> {
        &self.current
    }

    pub(in crate::identity::directory) fn ended(&self) -> &Arc<EndedSessions> {
        &self.ended
    }

    /// Shares with other gateways which refresh tokens were used.
    pub(in crate::identity::directory) fn share(&self, refreshes: &Arc<Rotations>) {
        let _ = self.refreshes.set(Arc::clone(refreshes));
    }

    /// Returns why what is in the database is not in use; `None` if it is.
    pub(in crate::identity::directory) fn error(&self) -> Option<DirectoryError> {
        let last = self.last.lock();
        let fault = || Some(DirectoryError::of_place(&self.place, &last.faults.first()?));
        last.error.clone().or_else(fault)
    }

    /// Returns the revision of the directory in use.
    pub(in crate::identity::directory) fn revision(&self) -> i64 {
        self.last.lock().revisions.directory.number
    }

    pub(super) fn revisions(&self) -> Revisions {
        self.last.lock().revisions.clone()
    }

    /// Returns for how long it is not known that what is in use is the database's.
    pub(in crate::identity::directory) fn stale_for(&self) -> Duration {
        let current_at = self.last.lock().current_at;
        current_at.map_or(Duration::MAX, |time| time.elapsed())
    }

    /// Returns whether that is longer than the configuration allows. Cheap.
    pub(in crate::identity::directory) fn is_too_old(&self) -> bool {
        self.is_too_old.load(Ordering::Relaxed)
    }

    /// Returns how often what is in use has changed, and 0 while it is the copy on the disk as it was
    /// read.
    pub(super) fn replaced(&self) -> u64 {
        self.replaced.load(Ordering::Relaxed) + self.ended.ends()
    }

    /// Decides whether what is in use is too old; a longest time of zero allows any.
    pub(super) fn judge_age(&self, max_staleness: Duration) {
        let is_too_old = !max_staleness.is_zero() && self.stale_for() > max_staleness;
        if self.is_too_old.swap(is_too_old, Ordering::Relaxed) != is_too_old {
            if is_too_old {
                tracing::error!(
                    ?max_staleness,
                    "the directory is too old: requests are refused"
                );
            } else {
                tracing::info!("the directory is up to date again");
            }
        }
    }

    /// Notes that what is in use is the database's as of these revisions.
    pub(super) fn note_current(&self, revisions: Revisions) {
        let mut last = self.last.lock();
        last.revisions = revisions;
        last.current_at = Some(Instant::now());
    }

    /// Notes the outcome of a look at the database.
    pub(super) fn note_outcome(&self, error: Option<Error>) {
        let error = error.map(|error| DirectoryError::of_database(&self.place, &error));
        let mut last = self.last.lock();
        if let Some(error) = &error
            && last.error.as_ref() != Some(error)
        {
            tracing::error!(%error, "directory not followed; the last good one stays");
            audit::not_reloaded(NAME, &error.to_string());
        }
        last.error = error;
    }

    /// Uses what was read as a whole.
    pub(super) fn replace(&self, revision: i64, building: Building) {
        let before = self.current.load_full();
        let changes = before.changes(&building.directory);
        let locked_out = locked_out(before.iter_users(), &building.directory);
        self.store(revision, building, &locked_out, &changes);
    }

    /// Makes the changes to what is in use.
    pub(super) fn change(
        &self,
        revision: i64,
        customers: Vec<(String, Option<Customer>)>,
        users: Vec<(String, Option<User>)>,
    ) {
        let before = self.current.load_full();
        let mut building = Building::upon(&before, &self.last.lock().faults);
        let ids: Vec<_> = customers.iter().map(|(id, _)| id.clone()).collect();
        let emails: Vec<_> = users.iter().map(|(email, _)| email.clone()).collect();
        for (id, customer) in customers {
            match customer {
                Some(customer) => building.set_customer(customer),
                None => building.remove_customer(&id),
            }
        }
        for (email, user) in users {
            match user {
                Some(user) => building.set_user(user),
                None => building.remove_user(&email),
            }
        }
        let changes = before.changes_of(&building.directory, &ids, &emails);
        let users = emails.iter().filter_map(|email| before.user(email));
        let locked_out = locked_out(users, &building.directory);
        self.store(revision, building, &locked_out, &changes);
    }

    fn store(
        &self,
        revision: i64,
        building: Building,
        locked_out: &[(Arc<str>, PasswordVersion)],
        changes: &[String],
    ) {
        let Building {
            directory, faults, ..
        } = building;
        let (users, customers) = (directory.user_count(), directory.customer_count());
        tracing::info!(
            database = self.place,
            revision,
            users,
            customers,
            "directory reloaded"
        );
        audit::reloaded(NAME, changes);
        // Whoever changed it by hand has not ended these sessions.
        self.ended.end_all(locked_out, SystemTime::now());
        self.current.store(Arc::new(directory));
        self.replaced.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last.lock();
        if last.faults != faults {
            if let Some(fault) = faults.first() {
                tracing::error!(
                    database = self.place,
                    fault,
                    "not all of the directory is in use"
                );
                audit::not_reloaded(NAME, &fault);
            }
            last.faults = faults;
        }
    }

    /// Adds what was read of sessions.
    pub(super) fn merge(&self, read: ReadSessions) {
        if self.ended.merge(&read.ended) {
            self.replaced.fetch_add(1, Ordering::Relaxed);
        }
        let Some(refreshes) = self.refreshes.get() else {
            return;
        };
        for row in read.refreshes {
            if let Ok(session) = SessionId::try_from(row.session) {
                let email = row.email.into();
                refreshes.merge(&email, session, row.generation, row.first_ms);
            }
        }
    }

    /// Returns what is to be written of sessions.
    pub(super) fn take_unwritten(&self) -> Unwritten {
        let ended = self.ended.take_unsaved();
        let uses = self
            .refreshes
            .get()
            .map(|refreshes| refreshes.take_untold());
        let uses = uses.unwrap_or_default();
        let rows = ended.as_ref().map(|unsaved| sessions::rows(&unsaved.ended));
        Unwritten {
            rows: SessionChanges {
                refreshes: sessions::refreshes(&uses),
                ..rows.unwrap_or_default()
            },
            ended,
            uses,
        }
    }

    /// Notes whether it was written; if it was not, it is to be written again.
    pub(super) fn note_written(&self, unwritten: Unwritten, is_written: bool) {
        if let Some(ended) = &unwritten.ended {
            if is_written {
                self.ended.note_saved(ended);
            } else {
                self.ended.note_failed(ended);
            }
        }
        if let Some(refreshes) = self.refreshes.get().filter(|_| !is_written) {
            refreshes.put_back(unwritten.uses);
        }
    }
}
